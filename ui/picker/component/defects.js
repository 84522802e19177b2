// The list of defects and its history. `rev` counts changes on either side; the higher one is the truth, and on a tie the picture wins.
const HISTORY_LIMIT = 300

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
