// What is drawn on the map for a step of the preparation: a drag is a rectangle, clicks are the corners of a polygon, which a click on
// its first corner, a double click or Enter closes. The app adds the step, and the next press marks defects again.
const MOST_CORNERS = 200
const DOUBLE_CLICK_MS = 350

function chooseTool(self, name) {
  self.tool = name
  self.corners = []
  self.root.querySelectorAll("button[data-tool]").forEach(button => {
    button.setAttribute("aria-pressed", String(button.dataset.tool === name))
  })
  refresh(self)
}

function sendArea(self, area) {
  self.setStateValue("area", { map: self.map.id, step: self.tool, serial: crypto.randomUUID?.() ?? `${Math.random()}`, ...area })
  chooseTool(self, null)
}

function sendRectangle(self, g, gesture, x, y) {
  const [first, second] = [[gesture.x, gesture.y], [x, y]].map(([px, py]) => clampPoint(self.map, toMap(g, px, py)))
  const [left, right] = [Math.min(first[0], second[0]), Math.max(first[0], second[0])]
  const [top, bottom] = [Math.min(first[1], second[1]), Math.max(first[1], second[1])]
  sendArea(self, { left, top, right, bottom })
}

function addCorner(self, g, x, y) {
  const now = performance.now()
  const near = ([cx, cy]) => Math.hypot(cx - x, cy - y) <= REACH
  const { corners } = self
  const again = corners.length && near(toScreen(g, corners[corners.length - 1])) && now - self.cornerAt < DOUBLE_CLICK_MS
  self.cornerAt = now
  if (again || (corners.length > 2 && near(toScreen(g, corners[0])))) closePolygon(self)
  else if (corners.length < MOST_CORNERS) corners.push(clampPoint(self.map, toMap(g, x, y)))
  refresh(self)
}

function closePolygon(self) {
  if (self.corners.length > 2) sendArea(self, { corners: self.corners })
}

// The keys while a tool is chosen; says whether the key was one of them. Enter sets a corner at the cross of the arrow keys.
function areaKey(self, key) {
  if (key === "Escape") {
    self.box = null
    self.gesture = null
    chooseTool(self, null)
  } else if (key === "Backspace" || key === "Delete") self.corners.pop()
  else if (key === "Enter" && self.cross) addCorner(self, geometry(self.canvas, self.map, self.entry.view), ...crossOnScreen(self))
  else if (key === "Enter") closePolygon(self)
  else return false
  refresh(self)
  return true
}

function crossOnScreen(self) {
  return toScreen(geometry(self.canvas, self.map, self.entry.view), self.cross)
}

function drawCorners(context, self, g) {
  if (!self.tool || !self.corners.length) return
  const line = new Path2D()
  const dots = new Path2D()
  self.corners.forEach((corner, i) => {
    const [x, y] = toScreen(g, corner)
    if (i) line.lineTo(x, y)
    else line.moveTo(x, y)
    dots.rect(x - 3, y - 3, 6, 6)
  })
  if (self.pointer) line.lineTo(...toScreen(g, self.pointer))
  context.fillStyle = "rgba(255,93,59,0.18)"
  context.fill(line)
  strokeTwice(context, line, "#ff5d3b")
  strokeTwice(context, dots, "#ff5d3b")
}
