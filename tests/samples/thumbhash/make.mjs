// Writes vectors.json by the reference implementation. Run here: npm install --no-save thumbhash@0.1.1 && node make.mjs
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { rgbaToThumbHash, thumbHashToRGBA } from 'thumbhash'

// Pictures by whole numbers, which tests/unit/test_thumbhash.py paints again.
const painters = {
  noise(width, height, seed, hasAlpha) {
    let state = seed
    const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16
    return Uint8Array.from({ length: 4 * width * height }, (_, at) => (at % 4 === 3 && !hasAlpha ? 255 : next() & 255))
  },
  waves(width, height, seed, hasAlpha) {
    return pixels(width, height, (x, y) => [
      ...[0, 1, 2].map(band => (x * x * (band + 1) + y * (seed + 3 * band) + (x > width >> 1 ? 40 * seed : 0)) & 255),
      hasAlpha ? ((7 * x + 5 * y + seed) % 3 ? (9 * x + 4 * y + seed) & 255 : 0) : 255,
    ])
  },
  slope: (width, height, seed) =>
    pixels(width, height, (x, y) => [(8 * x) & 255, (4 * x + seed) & 255, (255 - 7 * x) & 255, 255]),
  flat: (width, height, ...colour) => pixels(width, height, () => colour),
}

function pixels(width, height, colourAt) {
  const [columns, rows] = [width, height].map(side => [...Array(side).keys()])
  return new Uint8Array(rows.flatMap(y => columns.flatMap(x => colourAt(x, y))))
}

const vectors = []

function add(painter, width, height, ...more) {
  const hash = rgbaToThumbHash(width, height, painters[painter](width, height, ...more))
  const { w, h, rgba } = thumbHashToRGBA(hash)
  const digest = createHash('sha256').update(rgba).digest('hex')
  vectors.push([painter, [width, height, ...more], Buffer.from(hash).toString('base64'), [w, h, digest]])
}

const sizes = [
  [1, 1], [2, 1], [1, 2], [3, 3], [32, 32], [32, 21], [21, 32], [32, 18], [18, 32], [32, 1], [1, 32], [32, 5], [7, 32],
  [31, 29], [17, 32],
]
sizes.forEach((size, at) => {
  for (const hasAlpha of [0, 1]) {
    for (const painter of ['noise', 'waves']) add(painter, ...size, 7 * (2 * at + hasAlpha) + 8, hasAlpha)
  }
})
for (const size of [[32, 32], [32, 20], [20, 32]]) {
  add('slope', ...size, 3)
  for (const colour of ['000000ff', 'ffffffff', 'c81414ff', '0d4dc9ff', 'c8141480', 'c8141400', '00000000']) {
    add('flat', ...size, ...Buffer.from(colour, 'hex'))
  }
}
writeFileSync('vectors.json', `[\n${vectors.map(vector => JSON.stringify(vector)).join(',\n')}\n]\n`)
