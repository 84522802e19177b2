// Where the map lies on the canvas. The view is {zoom, cx, cy}: magnification over "whole map", and the map point (in
// fractions of the field of view) at the middle of the panel, so it survives a resize and a new image.
const BAR_WIDTH = 86

function fitView() {
  return { zoom: 1, cx: 0.5, cy: 0.5 }
}

function geometry(canvas, map, view) {
  const width = canvas.clientWidth
  const height = canvas.clientHeight
  const panel = Math.max(40, width - BAR_WIDTH)
  const stretch = map.aspect
  const whole = Math.min((panel - 16) / map.width, (height - 16) / (map.height * stretch))
  const sx = whole * view.zoom
  const sy = sx * stretch
  const left = panel / 2 - view.cx * map.width * sx
  const top = height / 2 - view.cy * map.height * sy
  return { width, height, panel, sx, sy, left, top }
}

function toScreen(g, point) {
  return [g.left + (point[0] + 0.5) * g.sx, g.top + (point[1] + 0.5) * g.sy]
}

function toMap(g, x, y) {
  return [(x - g.left) / g.sx - 0.5, (y - g.top) / g.sy - 0.5]
}

function clampView(view) {
  view.zoom = Math.min(200, Math.max(1, view.zoom))
  // Half a field of view of slack in all; none when the whole map is in sight.
  const slack = view.zoom > 1 ? 0 : 0.5
  view.cx = Math.min(1 - slack, Math.max(slack, view.cx))
  view.cy = Math.min(1 - slack, Math.max(slack, view.cy))
}

// Bring a point of the map into sight without a change of the zoom.
function showPoint(canvas, map, view, point) {
  const [x, y] = toScreen(geometry(canvas, map, view), point)
  if (x > 20 && y > 20 && x < canvas.clientWidth - BAR_WIDTH - 20 && y < canvas.clientHeight - 20) return
  view.cx = (point[0] + 0.5) / map.width
  view.cy = (point[1] + 0.5) / map.height
  clampView(view)
}

function zoomAt(canvas, map, view, x, y, factor) {
  const before = toMap(geometry(canvas, map, view), x, y)
  view.zoom = Math.min(200, Math.max(1, view.zoom * factor))
  const g = geometry(canvas, map, view)
  const now = toMap(g, x, y)
  view.cx += (before[0] - now[0]) / map.width
  view.cy += (before[1] - now[1]) / map.height
  clampView(view)
}

function panBy(canvas, map, view, dx, dy) {
  const g = geometry(canvas, map, view)
  view.cx -= dx / (g.sx * map.width)
  view.cy -= dy / (g.sy * map.height)
  clampView(view)
}
