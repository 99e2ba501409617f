"use strict";
// The section `mediasvc:` of _config.yml, checked, with its defaults.

const FIELDS = {
  thumbnail: "thumbnail",
  headimg: "original",
  cover: "original",
  "cover.image": "original",
  banner: "original",
  banner_img: "original",
  image: "original",
  "image.url": "original",
  "image.src": "original",
  top_img: "original",
  index_img: "original",
  og_image: "original",
  "header.image": "original",
  "header.teaser": "original",
  "header.og_image": "original",
  featured_image: "original",
  featuredImage: "original",
  feature_image: "original",
  heroImage: "original",
  hero_image: "original",
  pagination_cover: "original",
  "images[]": "original",
  "photos[]": "original",
  "gallery[]": "original",
  "gallery[].url": "original",
  "gallery[].image_path": "original",
};
const OWN = {
  enable: true,
  service: "http://127.0.0.1:8080",
  public_url: "",
  token: "",
  key: "",
  mode: "eager",
  front_matter: {},
  settings: true,
  path: "mediasvc",
  cache: "node_modules/.cache/hexo-filter-mediasvc",
  concurrency: 4,
  timeout: 60,
  on_error: "warn",
  priority: 5,
};

/**
 * Read the section.
 *
 * section: the object under `mediasvc:`; absent means all defaults.
 * environment: MEDIASVC_API_TOKEN and MEDIASVC_SIGNING_KEYS stand in for an absent token and key.
 * Keys that are not the plugin's own become `options`, which the service gets by their names.
 * Throws one Error that names every problem.
 */
function readConfig(section, environment = process.env) {
  const given = section ?? {};
  const own = { ...OWN };
  const options = {};
  for (const [name, value] of Object.entries(given)) {
    const plain = name.replaceAll("-", "_");
    if (plain in OWN) own[plain] = value ?? OWN[plain];
    else if (value !== null) options[plain] = value;
  }
  own.token ||= environment.MEDIASVC_API_TOKEN ?? "";
  own.key ||= (environment.MEDIASVC_SIGNING_KEYS ?? "").split(",")[0].trim();
  const problems = problemsOf(own);
  if (problems.length) throw new Error(`mediasvc in _config.yml: ${problems.join("; ")}`);
  own.service = own.service.replace(/\/+$/, "");
  own.public_url = (own.public_url || own.service).replace(/\/+$/, "");
  own.path = own.path.replace(/^\/+|\/+$/g, "");
  own.fields = { ...FIELDS, ...own.front_matter };
  return { ...own, options };
}

function problemsOf(own) {
  const problems = [];
  const check = (holds, sentence) => holds || problems.push(sentence);
  check(isAddress(own.service), "service is an http or https address");
  check(own.public_url === "" || isAddress(own.public_url), "public_url is an http or https address");
  check(["eager", "lazy"].includes(own.mode), "mode is eager or lazy");
  check(["warn", "fail"].includes(own.on_error), "on_error is warn or fail");
  check(Number.isInteger(own.concurrency) && own.concurrency > 0, "concurrency is a number above 0");
  check(own.timeout > 0 && own.timeout <= 3600, "timeout is a number of seconds, at most 3600");
  check(Number.isFinite(own.priority), "priority is a number; Hexo's own excerpt filter has 10");
  check(/^[\w./-]*\w[\w./-]*$/.test(own.path) && !own.path.includes(".."), "path is a folder of the site");
  check(/^([0-9a-f]{2})*$/i.test(own.key), "key is the signing key in hex");
  const uses = Object.values(own.front_matter);
  check(
    uses.every((use) => ["thumbnail", "original", "skip"].includes(use)),
    "front_matter has thumbnail, original or skip for each field",
  );
  return problems;
}

function isAddress(value) {
  return typeof value === "string" && /^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : "");
}

module.exports = { readConfig };
