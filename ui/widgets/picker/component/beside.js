// A second channel of the same place beside the map. Both canvases are of one size, so one view serves both: either leads the zoom, and
// the pointer on one is a cross on the other.

const TITLE_HEIGHT = 24

async function loadBeside(self, data) {
  const { beside } = data
  const row = self.canvas.parentElement
  if (!beside) {
    self.second?.canvas.remove()
    self.second = null
    fitHeight(self)
    return
  }
  self.second ??= createBeside(self, row)
  const second = self.second
  second.canvas.setAttribute("aria-label", `${beside.title}, the same place as the map`)
  fitHeight(self)
  if (second.levelsKey !== beside.layer) {
    second.levelsKey = beside.layer
    const levels = await inflateLevels(beside.levels)
    if (second.levelsKey !== beside.layer) return
    second.levels = levels
  } else if (!second.levels) return
  const table = Uint8Array.from(atob(beside.table), character => character.charCodeAt(0))
  second.map = { ...beside, table }
  paintLevels(second.picture, second.levels, beside.width, beside.height, table, beside.limits)
  second.histogram = histogramOf(second.levels, beside.limits)
  refresh(self)
}

function createBeside(self, row) {
  const canvas = document.createElement("canvas")
  canvas.className = "beside"
  canvas.setAttribute("role", "img")
  row.append(canvas)
  const second = { canvas, picture: document.createElement("canvas"), pressed: null }
  const at = event => place(self, event, canvas)
  canvas.onpointerdown = event => { second.pressed = at(event); self.entered = true; canvas.setPointerCapture(event.pointerId) }
  canvas.onpointerup = () => { second.pressed = null }
  canvas.onpointercancel = canvas.onpointerup
  canvas.onpointermove = event => {
    if (!self.map) return
    const [x, y] = at(event)
    if (second.pressed) {
      panBy(canvas, self.map, self.entry.view, x - second.pressed[0], y - second.pressed[1])
      second.pressed = [x, y]
    }
    self.pointer = toMap(geometry(canvas, self.map, self.entry.view), x, y)
    self.pointerBeside = true
    refresh(self)
  }
  canvas.onpointerleave = () => { self.pointer = null; self.pointerBeside = false; self.entered = false; refresh(self) }
  canvas.addEventListener("wheel", event => onWheel(self, event, canvas), { passive: false })
  return second
}

function drawBeside(self) {
  const { second, entry, map } = self
  if (!second?.map || !second.levels || second.map.width !== map.width || second.map.height !== map.height) return
  const shown = { ...self, canvas: second.canvas, map: second.map, picture: second.picture, histogram: second.histogram }
  const { context, g, colours } = prepareCanvas(second.canvas, map, entry.view)
  drawMap(context, shown, g)
  drawMarkers(context, shown, g)
  if (self.pointer && !self.pointerBeside) drawCross(context, g, self.pointer)
  drawScaleBar(context, map, g)
  titleAt(context, second.map.title, g, colours)
  context.restore()
  drawColourBar(context, shown, g, colours)
  second.canvas.dataset.origin = JSON.stringify([g.left, g.top, g.sx, g.sy])
}

// In the colour of the page's text where it stands beside the map, in white with a dark edge where it stands on it.
function titleAt(context, title, g, colours) {
  if (g.top < TITLE_HEIGHT) { labelAt(context, title, 10, 14); return }
  context.font = `600 12px ${colours.font}`
  context.textAlign = "left"
  context.textBaseline = "middle"
  context.fillStyle = colours.text
  context.fillText(title, 10, 14)
}

function readBeside(self, row, column) {
  const { second } = self
  if (!second?.map || !second.levels) return ""
  const level = second.levels[row * second.map.width + column]
  const value = level === UNMEASURED ? NaN : second.map.low + level * second.map.step
  return `  ·  ${second.map.title}: ${formatValue(value, second.map.unit)}`
}
