import { feedPlugin } from "@11ty/eleventy-plugin-rss";

import pictures from "./mediasvc.js";

export default function (config) {
  config.addPlugin(pictures, {
    service: process.env.SERVICE ?? "http://127.0.0.1:8080",
    token: process.env.MEDIASVC_API_TOKEN,
    folder: "pictures",
    options: {}, // of POST /v1/rewrite, such as { format: "webp" }
  });
  // The feed is made of posts after all transforms, so it has the same pictures, under absolute addresses.
  config.addPlugin(feedPlugin, {
    outputPath: "/feed.xml",
    collection: { name: "posts", limit: 20 },
    metadata: { language: "en", title: "Lakes", base: "https://blog.example/", author: { name: "A" } },
  });
  config.addCollection("posts", (all) => all.getFilteredByGlob("posts/*.md"));
  return { dir: { output: "public" } };
}
