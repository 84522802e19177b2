const REACH = 10
const STILL = 4

function place(self, event, canvas = self.canvas) {
  const box = canvas.getBoundingClientRect()
  return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop]
}

function inside(map, point) {
  return point[0] >= -0.5 && point[1] >= -0.5 && point[0] <= map.width - 0.5 && point[1] <= map.height - 0.5
}

// A defect may lie anywhere on the area of the map, half a pixel beyond the centres of its edge pixels.
function clampPoint(map, point) {
  return [Math.min(map.width - 0.5, Math.max(-0.5, point[0])), Math.min(map.height - 0.5, Math.max(-0.5, point[1])), ...point.slice(2)]
}

function commit(self, points) {
  changeDefects(self.entry.defects, points)
  publish(self)
}

function publish(self) {
  const { rev, points } = self.entry.defects
  self.hover = -1
  refresh(self)
  self.setStateValue("value", { map: self.map.id, rev, points: points.map(point => point.slice(0, 2)), labels: classesOf(points) })
}

function without(points, index) {
  return points.filter((_, i) => i !== index)
}

function onDown(self, event) {
  if (!self.map) return
  releaseMarker(self)
  self.canvas.focus({ preventScroll: true })
  self.entered = true
  self.cross = null
  const [x, y] = place(self, event)
  const g = geometry(self.canvas, self.map, self.entry.view)
  const hit = nearestDefect(g, self.entry.defects.points, x, y, REACH)
  const start = { x, y, lastX: x, lastY: y, hit, moved: false, kind: "click", button: event.button }
  if (event.button === 1 || self.spaceHeld) start.kind = "pan"
  else if (event.button === 2) start.kind = "remove"
  else if (self.tool) start.kind = "area"
  else if (event.shiftKey) start.kind = "box"
  if (event.button === 1) event.preventDefault()
  self.gesture = start
  self.canvas.setPointerCapture(event.pointerId)
}

function onMove(self, event) {
  if (!self.map) return
  const [x, y] = place(self, event)
  const gesture = self.gesture
  const g = geometry(self.canvas, self.map, self.entry.view)
  if (gesture) {
    if (Math.hypot(x - gesture.x, y - gesture.y) > STILL) gesture.moved = true
    if (gesture.moved) dragTo(self, gesture, g, x, y)
    gesture.lastX = x
    gesture.lastY = y
  } else {
    self.hover = nearestDefect(g, self.entry.defects.points, x, y, REACH)
  }
  self.pointer = toMap(g, x, y)
  self.pointerBeside = false
  refresh(self)
}

function dragTo(self, gesture, g, x, y) {
  if (gesture.kind === "box" || gesture.kind === "area") self.box = [gesture.x, gesture.y, x, y]
  else if (gesture.kind === "click" && gesture.hit >= 0) {
    // The marker follows the pointer; the list changes once, when the button is let go.
    gesture.before ??= self.entry.defects.points
    const moved = gesture.before.slice()
    moved[gesture.hit] = ofClass(clampPoint(self.map, toMap(g, x, y)), classOf(moved[gesture.hit]))
    self.entry.defects.points = moved
    self.hover = gesture.hit
  } else if (gesture.kind !== "remove") panBy(self.canvas, self.map, self.entry.view, x - gesture.lastX, y - gesture.lastY)
}

function onUp(self, event) {
  const gesture = self.gesture
  self.gesture = null
  if (!gesture || !self.map) return
  const [x, y] = place(self, event)
  const g = geometry(self.canvas, self.map, self.entry.view)
  const points = self.entry.defects.points
  if (gesture.kind === "box" || gesture.kind === "area") {
    self.box = null
    if (gesture.moved) (gesture.kind === "box" ? removeBox : sendRectangle)(self, g, gesture, x, y)
    else if (gesture.kind === "area") addCorner(self, g, x, y)
  } else if (gesture.before) {
    self.entry.defects.points = gesture.before
    commit(self, points)
  } else if (!gesture.moved && gesture.kind === "remove") {
    if (gesture.hit >= 0) commit(self, without(points, gesture.hit))
  } else if (!gesture.moved && gesture.kind === "click") {
    clickAt(self, g, gesture.hit, x, y)
  }
  refresh(self)
}

function removeBox(self, g, gesture, x, y) {
  const [left, right] = [Math.min(gesture.x, x), Math.max(gesture.x, x)]
  const [top, bottom] = [Math.min(gesture.y, y), Math.max(gesture.y, y)]
  const kept = self.entry.defects.points.filter(point => {
    const [px, py] = toScreen(g, point)
    return px < left || px > right || py < top || py > bottom
  })
  if (kept.length < self.entry.defects.points.length) commit(self, kept)
}

function clickAt(self, g, hit, x, y) {
  const now = performance.now()
  const points = self.entry.defects.points
  if (hit >= 0) {
    // A double click must not take away the defect that its first half made.
    if (hit === points.length - 1 && now - (self.addedAt ?? -1e9) < 350) return
    commit(self, without(points, hit))
    return
  }
  const point = toMap(g, x, y)
  if (!inside(self.map, point)) return
  self.addedAt = now
  commit(self, [...points, ofClass(clampPoint(self.map, point), self.entry.kind)])
}

// The wheel scrolls the page, unless Ctrl is held or the map was pressed since the pointer came in.
function onWheel(self, event, canvas = self.canvas) {
  if (!self.map) return
  if (!self.entered && !event.ctrlKey && !event.metaKey) { explainWheel(self); return }
  event.preventDefault()
  const [x, y] = place(self, event, canvas)
  const lines = event.deltaMode === 1 ? 33 : 1
  zoomAt(canvas, self.map, self.entry.view, x, y, Math.exp(-event.deltaY * lines * 0.0015))
  refresh(self)
}

const EXPLAINED_MS = 2500

function explainWheel(self) {
  self.wheelTold = performance.now()
  setTimeout(() => refresh(self), EXPLAINED_MS + 50)
  refresh(self)
}

function act(self, name) {
  if (!self.map) return
  letGo(self)
  const { defects } = self.entry
  const g = geometry(self.canvas, self.map, self.entry.view)
  if (name === "undo" && stepHistory(defects, "undo", "redo")) publish(self)
  if (name === "redo" && stepHistory(defects, "redo", "undo")) publish(self)
  if (name === "clear" && defects.points.length) commit(self, [])
  if (name === "zoom-in") zoomAt(self.canvas, self.map, self.entry.view, g.panel / 2, g.height / 2, 1.5)
  if (name === "zoom-out") zoomAt(self.canvas, self.map, self.entry.view, g.panel / 2, g.height / 2, 1 / 1.5)
  if (name === "fit") self.entry.view = fitView()
  refresh(self)
}
