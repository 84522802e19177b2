// What belongs to the browser tab and not to a page: its name for the autosave, the question before leaving, the wheel over charts,
// and files that are dropped on the page.
const TAB_KEY = "qpi-tab"
const LATEST_KEY = "qpi-latest"
const SHELF_KEY = "qpi-recent"
const OFF_KEY = "qpi-autosave-off"

function stored(storage, key, value) {
  // A browser may refuse storage altogether; the work is then not kept, and nothing else changes.
  try {
    if (value !== undefined) window[storage].setItem(key, value)
    return window[storage].getItem(key)
  } catch { return null }
}

function newName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("")
}

function tabName() {
  return stored("sessionStorage", TAB_KEY) ?? stored("sessionStorage", TAB_KEY, newName())
}

// Under this name all tabs of this browser keep the maps that they opened last.
function shelfName() {
  return stored("localStorage", SHELF_KEY) ?? stored("localStorage", SHELF_KEY, newName())
}

// A chart takes the wheel only with Ctrl, or after a press into it until the pointer leaves: otherwise the page scrolls.
function guardWheel() {
  if (window.qpiWheelGuarded) return
  window.qpiWheelGuarded = true
  let entered = null
  const chartOf = event => (event.target instanceof Element ? event.target.closest(".js-plotly-plot") : null)
  document.addEventListener("pointerdown", event => { entered = chartOf(event) }, { capture: true, passive: true })
  document.addEventListener("pointermove", event => { if (entered && !event.buttons && chartOf(event) !== entered) entered = null }, { capture: true, passive: true })
  document.addEventListener("wheel", event => {
    const chart = chartOf(event)
    if (chart && chart !== entered && !event.ctrlKey && !event.metaKey) event.stopPropagation()
  }, { capture: true, passive: true })
}

// A file dropped on the map, or anywhere else on the Extract page, is loaded as if it had been chosen: left alone, the browser would open it
// in place of the app. Uploaders take what is dropped on them themselves.
function takeDrops() {
  if (window.qpiDropsTaken) return
  window.qpiDropsTaken = true
  const chooserOf = event => {
    const onUploader = event.target instanceof Element && event.target.closest("[data-testid=stFileUploader]")
    const files = [...(event.dataTransfer?.types ?? [])].includes("Files")
    return files && !onUploader ? document.querySelector(".st-key-map_upload input[type=file]") : null
  }
  document.addEventListener("dragover", event => { if (chooserOf(event)) event.preventDefault() }, { capture: true })
  document.addEventListener("drop", event => {
    const chooser = chooserOf(event)
    if (!chooser) return
    event.preventDefault()
    const dropped = new DataTransfer()
    dropped.items.add(event.dataTransfer.files[0])
    chooser.files = dropped.files
    chooser.dispatchEvent(new Event("change", { bubbles: true }))
  }, { capture: true })
}

// A link to another page is a message to the server like any other, and of two that wait there Streamlit takes the page of the newer one:
// the name of the tab, or the poll of a running job, sent a moment after a click, would bring the old page back. So the name is sent while
// the app is at rest and no page on its way, and a page that did not come is chosen again.
const CHOOSE_AGAIN_MS = 500
const MOST_CHOICES = 60

function atRest() {
  return document.querySelector("[data-test-script-state=notRunning]") !== null
}

function pageOnItsWay() {
  return window.qpiChosenPage && window.qpiChosenPage.from === location.pathname
}

const PAGE_LINK = "a[data-testid$=NavLink]"

// A link that was pressed before this component was there has the focus, but not the ring that the keyboard gives it.
function pressedBefore() {
  const link = document.activeElement?.closest(PAGE_LINK)
  return link && !link.matches(":focus-visible") && link.pathname !== location.pathname ? { link, from: location.pathname } : null
}

function keepChosenPage() {
  if (window.qpiChosenPage !== undefined) return
  window.qpiChosenPage = pressedBefore()
  let timer = null
  const look = times => {
    if (!pageOnItsWay() || times >= MOST_CHOICES) { window.qpiChosenPage = null; return }
    if (atRest()) window.qpiChosenPage.link.click()
    timer = setTimeout(() => look(times + 1), CHOOSE_AGAIN_MS)
  }
  timer = setTimeout(() => look(1), CHOOSE_AGAIN_MS)
  document.addEventListener("click", event => {
    const link = event.isTrusted && event.target instanceof Element && event.target.closest(PAGE_LINK)
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.pathname === location.pathname) return
    window.qpiChosenPage = { link, from: location.pathname }
    clearTimeout(timer)
    timer = setTimeout(() => look(1), CHOOSE_AGAIN_MS)
  }, { capture: true, passive: true })
}

// A value set while the page is still being built can get lost on its way: it is sent again until the app knows the name.
const LOOK_MS = 50
const LOOKS_WHILE_BUSY = 100
const AGAIN_MS = 2000
const MOST_TIMES = 30
let known = ""
let timer = null

function tell(setStateValue, value, times = 0, looks = 0) {
  clearTimeout(timer)
  if (known === value.tab || times >= MOST_TIMES) return
  const wait = pageOnItsWay() || (!atRest() && looks < LOOKS_WHILE_BUSY)
  if (!wait) setStateValue("value", { ...value, times })
  timer = setTimeout(() => tell(setStateValue, value, times + !wait, wait ? looks + 1 : 0), wait ? LOOK_MS : AGAIN_MS)
}

export default function ({ data, setStateValue }) {
  guardWheel()
  takeDrops()
  keepChosenPage()
  if (!data) return
  window.onbeforeunload = data.ask ? event => { event.preventDefault(); return "" } : null
  if (data.off !== null) stored("localStorage", OFF_KEY, data.off ? "1" : "0")
  const tab = tabName()
  if (!tab) return
  const latest = stored("localStorage", LATEST_KEY)
  if (data.saved) stored("localStorage", LATEST_KEY, tab)
  known = data.known
  if (known !== tab) tell(setStateValue, { tab, latest, shelf: shelfName(), off: stored("localStorage", OFF_KEY) === "1" })
}
