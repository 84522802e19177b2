// The map as 16-bit levels: value = low + level * step. 65535 means "not measured".
const UNMEASURED = 65535

async function inflateLevels(base64) {
  const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
  return new Uint16Array(await new Response(stream).arrayBuffer())
}

// Own pixels are written, never read back: browsers that blur canvas reads against fingerprinting leave the map alone.
function paintLevels(picture, levels, width, height, table, limits) {
  picture.width = width
  picture.height = height
  const [low, high] = limits
  const colours = new Uint32Array(65536)
  const span = Math.max(high - low, 1e-9)
  for (let level = 0; level < UNMEASURED; level++) {
    const index = 3 * Math.round(255 * Math.min(1, Math.max(0, (level - low) / span)))
    colours[level] = (255 << 24) | (table[index + 2] << 16) | (table[index + 1] << 8) | table[index]
  }
  colours[UNMEASURED] = 0
  const context = picture.getContext("2d")
  const image = context.createImageData(width, height)
  const pixels = new Uint32Array(image.data.buffer)
  for (let i = 0; i < levels.length; i++) pixels[i] = colours[levels[i]]
  context.putImageData(image, 0, 0)
}

// Share of the pixels in 128 bins over the colour limits, as a silhouette beside the colour bar.
function histogramOf(levels, limits) {
  const bins = new Float32Array(128)
  const [low, high] = limits
  const scale = 128 / Math.max(high - low, 1e-9)
  for (const level of levels) {
    const bin = Math.floor((level - low) * scale)
    if (level !== UNMEASURED && bin >= 0 && bin < 128) bins[bin] += 1
  }
  const top = Math.max(...bins, 1)
  return bins.map(count => count / top)
}

// A number that rounds to zero has no sign.
function fixed(value, decimals) {
  return (Number(value.toFixed(decimals)) + 0).toFixed(decimals)
}

function formatValue(value, unit) {
  if (!Number.isFinite(value)) return "not measured"
  const magnitude = Math.abs(value)
  const prefixes = [[1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"], [1e-15, "f"]]
  if (unit && magnitude > 0 && magnitude < 1 && magnitude >= 1e-15) {
    const [factor, prefix] = prefixes.find(([candidate]) => magnitude >= candidate)
    return `${(value / factor).toPrecision(4)} ${prefix}${unit}`
  }
  const plain = magnitude === 0 || (magnitude >= 1e-3 && magnitude < 1e5) ? Number(value.toPrecision(4)).toString() : value.toExponential(2)
  return unit ? `${plain} ${unit}` : plain
}
