const MARKER_RADIUS = 6
const SURE_RADIUS = 3
const SURE_COLOURS = ["#35d07f", "#f0e442", "#ff3030"]
const MOVED_COLOUR = "#7dff8a"
// Colours that differ for colour-blind eyes too (Okabe and Ito), each with a shape of its own: circle, triangle, diamond,
// square (last, because a proposal is one).
const CLASS_COLOURS = ["#ff5d3b", "#56b4e9", "#f0e442", "#cc79a7", "#009e73", "#ffffff"]
const CLASS_SIGNS = ["\u25cf", "\u25b2", "\u25c6", "\u25a0"]

function markOf(names, name) {
  const i = names.indexOf(name)
  return { colour: CLASS_COLOURS[i % CLASS_COLOURS.length], shape: i % CLASS_SIGNS.length, sign: CLASS_SIGNS[i % CLASS_SIGNS.length] }
}

function addMark(path, shape, x, y, r) {
  if (shape === 0) { path.moveTo(x + r, y); path.arc(x, y, r, 0, 7); return }
  if (shape === 3) { path.rect(x - r, y - r, 2 * r, 2 * r); return }
  const corners = shape === 1 ? [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]] : [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]]
  corners.forEach(([dx, dy], i) => (i ? path.lineTo(x + dx * r, y + dy * r) : path.moveTo(x + dx * r, y + dy * r)))
  path.closePath()
}

function themeColours(element) {
  const style = getComputedStyle(element)
  const read = (name, fallback) => style.getPropertyValue(name).trim() || fallback
  return { text: read("--st-text-color", "#222"), panel: read("--st-secondary-background-color", "#eee"), accent: read("--st-primary-color", "#d33"), font: read("--st-font", "sans-serif") }
}

// Size a canvas for the screen, clear it, and clip what follows to the map's panel.
function prepareCanvas(canvas, map, view) {
  const ratio = window.devicePixelRatio || 1
  const deviceWidth = Math.round(canvas.clientWidth * ratio)
  const deviceHeight = Math.round(canvas.clientHeight * ratio)
  if (canvas.width !== deviceWidth) canvas.width = deviceWidth
  if (canvas.height !== deviceHeight) canvas.height = deviceHeight
  const context = canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  const colours = themeColours(canvas)
  const g = geometry(canvas, map, view)
  context.clearRect(0, 0, g.width, g.height)
  context.save()
  context.beginPath()
  context.rect(0, 0, g.panel, g.height)
  context.clip()
  return { context, g, colours }
}

function draw(self) {
  const { canvas, map, entry } = self
  if (!map || !canvas.clientWidth) return
  const { context, g, colours } = prepareCanvas(canvas, map, entry.view)
  drawMap(context, self, g)
  drawFrame(context, self, g)
  drawProposal(context, self, g)
  drawMarkers(context, self, g)
  drawSure(context, self, g)
  drawMoved(context, self, g)
  if (self.box) drawBox(context, self.box)
  drawCorners(context, self, g)
  if (self.cross) drawCross(context, g, self.cross)
  if (self.pointer && self.pointerBeside) drawCross(context, g, self.pointer)
  drawScaleBar(context, map, g)
  context.restore()
  drawColourBar(context, self, g, colours)
  drawBeside(self)
  canvas.dataset.count = String(entry.defects.points.length)
  canvas.dataset.moved = String(movedPoints(self).length)
  canvas.dataset.corners = String(self.corners.length)
  canvas.dataset.held = String(self.held ?? -1)
  canvas.dataset.hover = String(self.hover)
  canvas.dataset.zoom = entry.view.zoom.toFixed(4)
  canvas.dataset.origin = JSON.stringify([g.left, g.top, g.sx, g.sy])
}

function drawMap(context, self, g) {
  const { map, picture } = self
  const w = map.width * g.sx
  const h = map.height * g.sy
  context.fillStyle = "rgba(128,128,128,0.25)"
  context.fillRect(g.left, g.top, w, h)
  context.imageSmoothingEnabled = g.sx < 1
  context.drawImage(picture, g.left, g.top, w, h)
}

// The kernel window around the mark under the pointer, or else around the one nearest to the middle of the map.
function framedMark(self) {
  const { map, entry } = self
  const { points } = entry.defects
  const marked = self.held ?? self.hover
  if (marked >= 0 && marked < points.length) return points[marked]
  const off = ([x, y]) => (x / map.width - 0.5) ** 2 + (y / map.height - 0.5) ** 2
  return points.reduce((best, point) => (off(point) < off(best) ? point : best), points[0])
}

function drawFrame(context, self, g) {
  const shown = self.frame && self.entry.defects.points.length
  self.canvas.dataset.frame = String(shown ? self.frame : 0)
  if (!shown) return
  const [x, y] = framedMark(self)
  const before = Math.floor(self.frame / 2) + 0.5 // pixel k // 2 of the kernel lies on the mark
  const [left, top] = toScreen(g, [x - before, y - before])
  const path = new Path2D()
  path.rect(left, top, self.frame * g.sx, self.frame * g.sy)
  context.setLineDash([6, 4])
  context.lineWidth = 3
  context.strokeStyle = "rgba(0,0,0,0.55)"
  context.stroke(path)
  context.lineWidth = 1.5
  context.strokeStyle = "#ffffff"
  context.stroke(path)
  context.setLineDash([])
}

function drawProposal(context, self, g) {
  const path = new Path2D()
  for (const point of self.proposal) {
    const [x, y] = toScreen(g, point)
    path.rect(x - 6, y - 6, 12, 12)
  }
  strokeTwice(context, path, "#5ec8ff")
}

// Where the map would have each mark: a cross, and a line to it. They are shown for as long as the list is the one they belong to.
function movedPoints(self) {
  const [before, after] = self.moved
  const marks = self.entry.defects.points
  const same = before.length === marks.length && before.every(([x, y], i) => Math.abs(x - marks[i][0]) + Math.abs(y - marks[i][1]) < 1e-3)
  return same ? after : []
}

function drawMoved(context, self, g) {
  const points = movedPoints(self)
  const marks = self.entry.defects.points
  const path = new Path2D()
  points.forEach((point, i) => {
    const [x, y] = toScreen(g, point)
    path.moveTo(...toScreen(g, marks[i])); path.lineTo(x, y)
    path.moveTo(x - 4, y - 4); path.lineTo(x + 4, y + 4)
    path.moveTo(x - 4, y + 4); path.lineTo(x + 4, y - 4)
  })
  strokeTwice(context, path, MOVED_COLOUR)
}

function drawMarkers(context, self, g) {
  const points = self.entry.defects.points
  const small = points.length > 150 && g.sx < 4
  const radius = small ? 3.5 : MARKER_RADIUS
  const names = classNames(points)
  const several = points.some(point => classOf(point) !== FIRST_CLASS)
  const paths = new Map()
  const dots = new Path2D()
  const marked = self.held ?? self.hover
  points.forEach((point, i) => {
    const [x, y] = toScreen(g, point)
    if (x < -20 || y < -20 || x > g.panel + 20 || y > g.height + 20 || i === marked) return
    const name = classOf(point)
    if (!paths.has(name)) paths.set(name, new Path2D())
    addMark(paths.get(name), markOf(names, name).shape, x, y, radius)
    dots.rect(x - 0.75, y - 0.75, 1.5, 1.5)
  })
  for (const [name, path] of paths) strokeTwice(context, path, markOf(names, name).colour)
  context.fillStyle = "#fff"
  context.fill(dots)
  if (marked >= 0 && marked < points.length) {
    const [x, y] = toScreen(g, points[marked])
    const ring = new Path2D()
    ring.arc(x, y, radius + 3, 0, 7)
    strokeTwice(context, ring, "#ffd23f")
    labelAt(context, several ? `${marked + 1} · ${classOf(points[marked])}` : String(marked + 1), x + radius + 6, y - radius - 4)
  }
}

// How sure each mark is that was found in the map: green, yellow, red. A mark that was moved is the user's own and has none.
function drawSure(context, self, g) {
  let shown = 0
  for (const [x, y] of self.entry.defects.points) {
    const probability = self.sure.get(`${x} ${y}`)
    if (probability === undefined) continue
    const [left, top] = toScreen(g, [x, y])
    context.beginPath()
    context.arc(left, top, SURE_RADIUS, 0, 7)
    context.fillStyle = SURE_COLOURS[probability >= 0.99 ? 0 : probability >= 0.8 ? 1 : 2]
    context.fill()
    context.lineWidth = 1
    context.strokeStyle = "rgba(0,0,0,0.65)"
    context.stroke()
    shown += 1
  }
  self.canvas.dataset.sure = String(shown)
}

// A dark line under a bright one is seen on every colour map.
function strokeTwice(context, path, colour) {
  context.lineWidth = 4
  context.strokeStyle = "rgba(0,0,0,0.65)"
  context.stroke(path)
  context.lineWidth = 2
  context.strokeStyle = colour
  context.stroke(path)
}

function labelAt(context, text, x, y) {
  context.font = "600 12px sans-serif"
  context.textAlign = "left"
  context.textBaseline = "middle"
  context.lineWidth = 3
  context.strokeStyle = "rgba(0,0,0,0.7)"
  context.strokeText(text, x, y)
  context.fillStyle = "#fff"
  context.fillText(text, x, y)
}

function drawBox(context, box) {
  const [x0, y0, x1, y1] = box
  context.fillStyle = "rgba(255,93,59,0.18)"
  context.fillRect(x0, y0, x1 - x0, y1 - y0)
  context.lineWidth = 1.5
  context.strokeStyle = "#ff5d3b"
  context.strokeRect(x0, y0, x1 - x0, y1 - y0)
}

function drawCross(context, g, cross) {
  const [x, y] = toScreen(g, cross)
  const path = new Path2D()
  path.moveTo(x - 12, y); path.lineTo(x - 3, y); path.moveTo(x + 3, y); path.lineTo(x + 12, y)
  path.moveTo(x, y - 12); path.lineTo(x, y - 3); path.moveTo(x, y + 3); path.lineTo(x, y + 12)
  strokeTwice(context, path, "#fff")
}

function drawScaleBar(context, map, g) {
  const unitSize = map.pixelNm ?? 1
  const perUnit = g.sx / unitSize
  const target = 0.22 * Math.min(g.panel, map.width * g.sx)
  const power = 10 ** Math.floor(Math.log10(target / perUnit))
  const length = [5, 2, 1].map(step => step * power).find(step => step * perUnit <= target) ?? power
  const x = Math.max(14, g.left + 12)
  const y = Math.min(g.height, g.top + map.height * g.sy) - 16
  const path = new Path2D()
  path.moveTo(x, y)
  path.lineTo(x + length * perUnit, y)
  context.lineCap = "butt"
  context.lineWidth = 6
  context.strokeStyle = "rgba(0,0,0,0.6)"
  context.stroke(path)
  context.lineWidth = 3
  context.strokeStyle = "#fff"
  context.stroke(path)
  labelAt(context, `${Number(length.toPrecision(3))} ${map.pixelNm ? "nm" : "px"}`, x, y - 12)
}

function drawColourBar(context, self, g, colours) {
  const { map } = self
  const x = g.panel + 6
  const top = 34
  const height = g.height - 68
  const { table } = map
  for (let row = 0; row < height; row++) {
    const index = 3 * Math.round(255 * (1 - row / (height - 1)))
    context.fillStyle = `rgb(${table[index]},${table[index + 1]},${table[index + 2]})`
    context.fillRect(x, top + row, 14, 1.5)
  }
  context.fillStyle = colours.text
  context.globalAlpha = 0.28
  context.beginPath()
  context.moveTo(x + 18, top + height)
  self.histogram.forEach((share, i) => context.lineTo(x + 18 + 56 * Math.sqrt(share), top + height * (1 - (i + 0.5) / 128)))
  context.lineTo(x + 18, top)
  context.fill()
  context.globalAlpha = 1
  context.font = `12px ${colours.font}`
  context.textAlign = "left"
  context.textBaseline = "middle"
  context.fillText(formatValue(map.low + map.limits[1] * map.step, map.unit), x, top - 16, BAR_WIDTH - 10)
  context.fillText(formatValue(map.low + map.limits[0] * map.step, map.unit), x, top + height + 16, BAR_WIDTH - 10)
}
