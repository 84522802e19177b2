// The list of defects and its history. `rev` counts changes on either side; the higher one is the truth, and on a tie the picture wins.
const HISTORY_LIMIT = 300

// A defect is [x, y] or, where it is not of the first class, [x, y, class].
const FIRST_CLASS = "A"
const LETTERS = ["A", "B", "C", "D", "E", "F"]

function classOf(point) {
  return point[2] ?? FIRST_CLASS
}

function ofClass(point, name) {
  return name === FIRST_CLASS ? [point[0], point[1]] : [point[0], point[1], name]
}

// Names in use, filled up with letters, so that there is always another one to choose.
function classNames(points) {
  const used = [...new Set(points.map(classOf))].sort()
  return used.concat(LETTERS.filter(letter => !used.includes(letter))).slice(0, Math.max(used.length, LETTERS.length))
}

function withClasses(points, labels) {
  return labels ? points.map((point, i) => ofClass(point, labels[i])) : points
}

function classesOf(points) {
  return points.some(point => point.length > 2) ? points.map(classOf) : null
}

function newDefects() {
  return { rev: -1, points: [], undo: [], redo: [] }
}

function changeDefects(defects, points) {
  defects.undo.push(defects.points)
  if (defects.undo.length > HISTORY_LIMIT) defects.undo.shift()
  defects.redo = []
  defects.points = points
  defects.rev += 1
}

function stepHistory(defects, from, to) {
  if (!defects[from].length) return false
  defects[to].push(defects.points)
  defects.points = defects[from].pop()
  defects.rev += 1
  return true
}

// Python's list is taken only when it is newer; what it replaces can be undone unless the map itself is another one.
function adoptDefects(defects, rev, points, sameMap) {
  if (!sameMap) { defects.undo = []; defects.redo = [] }
  if (rev <= defects.rev) return
  if (sameMap && defects.rev >= 0) { defects.undo.push(defects.points); defects.redo = [] }
  defects.rev = rev
  defects.points = points
}

function nearestDefect(g, points, x, y, reach) {
  let best = -1
  let bestDistance = reach * reach
  for (let i = 0; i < points.length; i++) {
    const [px, py] = toScreen(g, points[i])
    const distance = (px - x) ** 2 + (py - y) ** 2
    if (distance <= bestDistance) { best = i; bestDistance = distance }
  }
  return best
}
