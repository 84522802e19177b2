const KEY_ACTIONS = { "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "0": "fit" }
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

function onKey(self, event) {
  if (!self.map) return
  const command = event.ctrlKey || event.metaKey
  const key = event.key
  if (self.held >= self.entry.defects.points.length) self.held = null
  if (command && key.toLowerCase() === "z") act(self, event.shiftKey ? "redo" : "undo")
  else if (command && key.toLowerCase() === "y") act(self, "redo")
  else if (command) return
  else if (KEY_ACTIONS[key]) act(self, KEY_ACTIONS[key])
  else if (self.tool && areaKey(self, key)) { /* done */ }
  else if (key === " ") self.spaceHeld = true
  else if (key === "n" || key === "p") holdMarker(self, key === "n" ? 1 : -1)
  else if (ARROWS[key] && self.held !== null) nudge(self, ARROWS[key], stepOf(event))
  else if (self.held !== null && (key === "Delete" || key === "Backspace")) removeHeld(self)
  else if (self.held !== null && (key === "Enter" || key === "Escape")) { releaseMarker(self); refresh(self) }
  else if (ARROWS[key]) moveCross(self, ARROWS[key], stepOf(event))
  else if (key === "Enter" || key === "Delete" || key === "Backspace") actAtCross(self, key)
  else if (key === "Escape") { self.cross = null; refresh(self) }
  else return
  event.preventDefault()
  event.stopPropagation()
}

function stepOf(event) {
  return event.shiftKey ? 10 : event.altKey ? 0.1 : 1
}

function removeHeld(self) {
  letGo(self)
  const index = self.held
  self.held = null
  commit(self, without(self.entry.defects.points, index))
}

function moveCross(self, [dx, dy], step) {
  const { map, entry } = self
  const from = self.cross ?? [Math.round(entry.view.cx * map.width - 0.5), Math.round(entry.view.cy * map.height - 0.5)]
  self.cross = self.cross ? clampPoint(map, [from[0] + dx * step, from[1] + dy * step]) : from
  self.pointer = self.cross
  refresh(self)
}

function actAtCross(self, key) {
  if (!self.cross) return
  const g = geometry(self.canvas, self.map, self.entry.view)
  const [x, y] = toScreen(g, self.cross)
  const points = self.entry.defects.points
  const hit = nearestDefect(g, points, x, y, key === "Enter" ? REACH : Infinity)
  if (hit >= 0) commit(self, without(points, hit))
  else if (key === "Enter") commit(self, [...points, ofClass(clampPoint(self.map, self.cross), self.entry.kind)])
}

// A marker that is held by the keyboard follows the arrow keys; the list changes once, when it is let go or the keys rest.
const KEYS_REST_MS = 500

function holdMarker(self, step) {
  letGo(self)
  const count = self.entry.defects.points.length
  if (!count) return
  const from = self.held ?? (step > 0 ? -1 : count)
  self.held = (from + step + count) % count
  self.cross = null
  const point = self.entry.defects.points[self.held]
  showPoint(self.canvas, self.map, self.entry.view, point)
  self.pointer = point
  refresh(self)
}

function nudge(self, [dx, dy], step) {
  const { defects } = self.entry
  self.nudgedFrom ??= defects.points
  const moved = defects.points.slice()
  const [x, y] = moved[self.held]
  moved[self.held] = ofClass(clampPoint(self.map, [x + dx * step, y + dy * step]), classOf(moved[self.held]))
  defects.points = moved
  self.pointer = moved[self.held]
  clearTimeout(self.resting)
  self.resting = setTimeout(() => letGo(self), KEYS_REST_MS)
  refresh(self)
}

function letGo(self) {
  clearTimeout(self.resting)
  if (!self.nudgedFrom) return
  const { defects } = self.entry
  const points = defects.points
  defects.points = self.nudgedFrom
  self.nudgedFrom = null
  commit(self, points)
}

function releaseMarker(self) {
  letGo(self)
  self.held = null
}
