// One record per mounted picker. What must outlive a mount (view, history) is kept by session and name on the window,
// so that going to another page and back changes nothing.
const mounted = new WeakMap()
const TALLEST_SHARE = 0.62
const AREAS = {
  crop: "Keep: drag a rectangle, or click corners and Enter · Esc ends",
  mask_rectangle: "Leave out: drag a rectangle, or click corners and Enter · Esc ends",
}
const kept = (window.qpiPickers ??= new Map())

function create(parentElement) {
  const root = parentElement.querySelector(".picker")
  const canvas = root.querySelector("canvas")
  const self = { root, canvas, picture: document.createElement("canvas"), hover: -1, held: null, nudgedFrom: null, corners: [], pending: false }
  canvas.addEventListener("wheel", event => onWheel(self, event), { passive: false })
  self.observer = new ResizeObserver(() => { fitHeight(self); refresh(self) })
  self.observer.observe(canvas)
  return self
}

// On a large screen the map takes most of the window's height, as far as its width allows.
function fitHeight(self) {
  if (!self.shape) return
  const { width, height, aspect } = self.shape
  const wanted = ((self.canvas.clientWidth - BAR_WIDTH - 16) * height * aspect) / width + 16
  const high = Math.round(Math.max(self.leastHeight, Math.min(wanted, TALLEST_SHARE * window.innerHeight)))
  if (self.canvas.offsetHeight !== high) self.canvas.style.height = `${high}px`
  if (self.second && self.second.canvas.style.height !== `${high}px`) self.second.canvas.style.height = `${high}px`
}

function bind(self) {
  const { canvas, root } = self
  canvas.onpointerdown = event => onDown(self, event)
  canvas.onpointermove = event => onMove(self, event)
  canvas.onpointerup = event => onUp(self, event)
  canvas.onpointercancel = () => { self.gesture = null; self.box = null; refresh(self) }
  canvas.onpointerleave = () => { self.pointer = null; self.hover = -1; self.entered = false; refresh(self) }
  canvas.oncontextmenu = event => event.preventDefault()
  canvas.onkeydown = event => onKey(self, event)
  canvas.onkeyup = event => { if (event.key === " ") self.spaceHeld = false }
  canvas.onblur = () => { self.spaceHeld = false; self.cross = null; releaseMarker(self); refresh(self) }
  root.querySelector("select").onchange = event => { self.entry.kind = event.target.value; refresh(self) }
  root.querySelectorAll("button[data-act]").forEach(button => { button.onclick = () => act(self, button.dataset.act) })
  root.querySelectorAll("button[data-tool]").forEach(button => {
    button.onclick = () => { chooseTool(self, self.tool === button.dataset.tool ? null : button.dataset.tool); canvas.focus({ preventScroll: true }) }
  })
}

function refresh(self) {
  if (self.pending) return
  self.pending = true
  requestAnimationFrame(() => {
    self.pending = false
    draw(self)
    describe(self)
  })
}

function describe(self) {
  const { root, map, entry } = self
  if (!map) return
  const { points, undo, redo } = entry.defects
  root.querySelector(".count").textContent = `${points.length} ${points.length === 1 ? "defect" : "defects"}`
  offerClasses(self)
  root.querySelector("[data-act=undo]").disabled = !undo.length
  root.querySelector("[data-act=redo]").disabled = !redo.length
  root.querySelector("[data-act=clear]").disabled = !points.length
  root.querySelector(".readout").textContent = self.pointer && inside(map, self.pointer) ? readOut(self) : ""
  const told = performance.now() - (self.wheelTold ?? -1e9) < EXPLAINED_MS
  const hint = told ? "Ctrl + wheel zooms" : "click: add or remove · drag: move or pan · Ctrl + wheel: zoom · Shift + drag: remove in a box"
  const drawing = AREAS[self.tool] ?? ""
  root.querySelector(".hint").textContent = drawing || (self.pointer && !told ? "" : hint)
}

function offerClasses(self) {
  const { entry } = self
  const select = self.root.querySelector("select")
  const names = classNames(entry.defects.points)
  if (!names.includes(entry.kind)) entry.kind = names[0]
  if (select.dataset.names !== JSON.stringify(names)) {
    select.dataset.names = JSON.stringify(names)
    select.replaceChildren(...names.map(name => new Option(`Class ${name}`, name)))
  }
  select.value = entry.kind
  const several = entry.defects.points.some(point => classOf(point) !== FIRST_CLASS)
  self.root.querySelector(".swatch").hidden = !several && entry.kind === FIRST_CLASS
  self.root.querySelector(".swatch").style.color = markOf(names, entry.kind).colour
  self.root.querySelector(".swatch").textContent = markOf(names, entry.kind).sign
}

function readOut(self) {
  const { map, pointer } = self
  const column = Math.min(map.width - 1, Math.max(0, Math.round(pointer[0])))
  const row = Math.min(map.height - 1, Math.max(0, Math.round(pointer[1])))
  const level = self.levels[row * map.width + column]
  const value = level === UNMEASURED ? NaN : map.low + level * map.step
  const pixels = `x ${fixed(pointer[0], 2)} px, y ${fixed(pointer[1], 2)} px`
  const lengths = map.pixelNm ? `x ${fixed(pointer[0] * map.pixelNm, 3)} nm, y ${fixed(pointer[1] * map.pixelNm * map.aspect, 3)} nm  ·  ` : ""
  return `${lengths}${pixels}  ·  ${formatValue(value, map.unit)}${readBeside(self, row, column)}`
}

async function loadMap(self, data) {
  const map = data.map
  if (self.levelsKey !== map.layer) {
    self.levelsKey = map.layer
    const levels = await inflateLevels(map.levels)
    if (self.levelsKey !== map.layer) return
    self.levels = levels
    self.coloursKey = null
  } else if (!self.levels) return
  const table = Uint8Array.from(atob(map.table), character => character.charCodeAt(0))
  const coloursKey = `${map.layer} ${map.table} ${map.limits}`
  self.map = { ...map, table }
  if (self.coloursKey !== coloursKey) {
    self.coloursKey = coloursKey
    paintLevels(self.picture, self.levels, map.width, map.height, table, map.limits)
    self.histogram = histogramOf(self.levels, map.limits)
  }
  refresh(self)
}

export default function ({ data, parentElement, setStateValue }) {
  // A page that is redrawn while another map is on its way may hand over nothing for a moment; the map itself follows.
  if (!data?.map) return
  let self = mounted.get(parentElement)
  if (!self) { self = create(parentElement); mounted.set(parentElement, self) }
  self.setStateValue = setStateValue
  const keptKey = `${data.session} ${data.name}`
  if (!kept.has(keptKey)) kept.set(keptKey, { mapId: null, view: fitView(), defects: newDefects(), kind: FIRST_CLASS })
  const entry = kept.get(keptKey)
  const sameMap = entry.mapId === data.map.id
  if (!sameMap) { entry.view = fitView(); self.corners = [] }
  entry.mapId = data.map.id
  self.entry = entry
  self.proposal = data.proposal
  self.moved = data.moved
  self.sure = new Map(data.sure.map(([x, y, probability]) => [`${x} ${y}`, probability]))
  self.frame = data.frame
  if (!self.gesture && !self.nudgedFrom) adoptDefects(entry.defects, data.rev, withClasses(data.points, data.labels), sameMap)
  self.leastHeight = data.height
  self.shape = data.map
  fitHeight(self)
  bind(self)
  loadMap(self, data)
  loadBeside(self, data)
  return () => { self.observer.disconnect(); mounted.delete(parentElement) }
}
