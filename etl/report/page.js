// The page's script: draws the charts with Vega from the one copy of the data, and fills readouts and tables from it.
// A day is a number, counted from the report's first day; a figure that is not known is null.

const data = JSON.parse(document.getElementById("data").textContent);
const DAY = 86_400_000;
const START = Date.parse(data.first_day);
const PER_PEOPLE = 100_000;
const nation = data.locations[data.nation];
const states = Object.entries(data.locations).filter(([code]) => code !== data.nation);
const measureOf = Object.fromEntries(data.measures.map((measure) => [measure.column, measure]));
const byId = (id) => document.getElementById(id);

// --- figures ---

const at = (figures, location, day) => figures[day - location.first] ?? null;
const valueAt = (location, column, day) => at(location.curves[column].values, location, day);
const meanAt = (location, column, day) => at(location.curves[column].means, location, day);
const shareOf = (mean, location) => (mean === null || location.population === null ? null : (mean * PER_PEOPLE) / location.population);
const shareAt = (location, column, day) => shareOf(meanAt(location, column, day), location);

// --- words ---

const dayFormat = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeZone: "UTC" });
const time = (day) => START + day * DAY;
const inWords = (day) => dayFormat.format(time(day));
const isoDay = (day) => new Date(time(day)).toISOString().slice(0, 10);

function number(value, decimals) {
  if (value === null) return "n/a";
  const digits = decimals ?? (Number.isInteger(value) || Math.abs(value) >= 10 ? 0 : 1);
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en-US", options).replace("-", "−");
}

function unitOf(measure) {
  return measure.unit.replace(" a day", "");
}

// --- elements ---

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A table in a region that can be scrolled, also by keyboard; `columns` are [title, is a number]. */
function table(title, columns, rows) {
  const cell = (tag, text, isNumber, scope) => {
    const made = element(tag, { textContent: text, className: isNumber ? "n" : "" });
    if (scope) made.scope = scope;
    return made;
  };
  const head = element("tr", {}, ...columns.map(([text, isNumber]) => cell("th", text, isNumber, "col")));
  const body = rows.map((row) => element("tr", {}, ...row.map((text, index) =>
    index === 0 ? cell("th", text, columns[0][1], "row") : cell("td", text, columns[index][1]))));
  const made = element("table", {}, element("caption", { textContent: title }), element("thead", {}, head), element("tbody", {}, ...body));
  const region = element("div", { className: "scroll", tabIndex: 0, role: "region" }, made);
  region.setAttribute("aria-label", title);
  return region;
}

/** Fills a `details` with what `make` returns, each time that it is opened. */
function fillWhenOpened(details, make) {
  details.fill = () => {
    if (!details.open) return;
    details.querySelector(".scroll")?.remove();
    details.append(make());
  };
  details.addEventListener("toggle", details.fill);
}

// --- drawing ---

const views = new WeakMap();

/** Draws a chart of rows into an element, whose own label speaks for it, in the place of its last; resolves to its view. */
async function draw(name, container, rows, signals = {}) {
  const chart = data.charts[name];
  const filled = {
    ...chart,
    height: container.clientHeight,
    data: chart.data.map((set) => (set.name === "days" ? { ...set, values: rows } : set)),
    signals: chart.signals.map((signal) => (signal.name in signals ? { ...signal, value: signals[signal.name] } : signal)),
  };
  // Errors only: that no day is pointed at yet is no trouble.
  const options = { logLevel: 1, mode: "vega", renderer: "svg", actions: false, defaultStyle: false, hover: false, tooltip: false };
  const drawing = element("div");
  drawing.setAttribute("aria-hidden", "true");
  container.replaceChildren(drawing);
  views.get(container)?.finalize();
  const { view } = await vegaEmbed(drawing, filled, options);
  views.set(container, view);
  return view;
}

// What is still to be drawn: at once when it is about to come into view or the page is printed, else when there is time.
const waiting = new Map();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) startNow(entry.target);
}, { rootMargin: "400px" });
const whenIdle = window.requestIdleCallback ?? ((callback) => setTimeout(callback, 50));

let isScheduled = false;

function whenSeen(target, start) {
  waiting.set(target, start);
  observer.observe(target);
  schedule();
}

function schedule() {
  if (!isScheduled) whenIdle(startNext);
  isScheduled = true;
}

function startNow(target) {
  const start = waiting.get(target);
  waiting.delete(target);
  observer.unobserve(target);
  start?.();
}

/** Draws some more of what is open; few at a time, so that the page still answers. */
function startNext() {
  isScheduled = false;
  const targets = [...waiting.keys()].filter((each) => each.checkVisibility()).slice(0, 8);
  targets.forEach(startNow);
  if (targets.length > 0) schedule();
}

window.addEventListener("beforeprint", () => {
  for (const target of [...waiting.keys()]) if (target.checkVisibility()) startNow(target);
});

// --- the curves of a location ---

/** Six charts of a location whose readouts show the same day. */
class Charts {
  constructor(container) {
    this.container = container;
    this.location = data.locations[container.dataset.location];
    this.last = this.location.first + this.location.curves[data.measures[0].column].values.length - 1;
    this.panels = data.measures.map((measure) => this.panel(measure));
    this.show(this.last, false);
  }

  panel(measure) {
    const curve = this.location.curves[measure.column];
    const figure = byId("chart").content.cloneNode(true).firstElementChild;
    const heading = element(this.container.dataset.heading, { textContent: measure.title });
    const [caption, finding, plot, readout, details] = ["figcaption", ".finding", ".plot", ".readout", "details"].map((each) => figure.querySelector(each));
    caption.prepend(heading);
    finding.textContent = curve.finding;
    this.container.append(figure);
    if (curve.values.every((value) => value === null)) {
      for (const each of [plot, readout, details]) each.remove();
      return null;
    }
    const panel = { measure, plot, readout, view: null };
    this.describe(panel);
    this.listen(panel);
    fillWhenOpened(details, () => this.table(measure));
    whenSeen(plot, async () => { panel.view = await this.draw(measure, plot); });
    return panel;
  }

  draw(measure, plot) {
    const { curves, first } = this.location;
    const curve = curves[measure.column];
    const rows = Array.from({ length: data.days }, (_, day) => ({
      day: time(day), value: at(curve.values, this.location, day), mean: at(curve.means, this.location, day),
      peak: day === curve.peak ? number(curve.means[day - first]) : null,
    }));
    return draw("curve", plot, rows);
  }

  describe({ measure, plot }) {
    plot.setAttribute("aria-label", `${measure.title}, ${this.location.name}: ${this.location.curves[measure.column].finding} Day shown`);
    plot.setAttribute("aria-valuemin", this.location.first);
    plot.setAttribute("aria-valuemax", this.last);
  }

  listen(panel) {
    panel.plot.addEventListener("pointermove", (event) => this.point(panel, event));
    panel.plot.addEventListener("pointerdown", (event) => this.point(panel, event));
    panel.plot.addEventListener("pointerleave", () => this.show(this.day, false));
    panel.plot.addEventListener("focus", () => this.show(this.day, true));
    panel.plot.addEventListener("blur", () => this.show(this.day, false));
    panel.plot.addEventListener("keydown", (event) => this.press(event));
  }

  point({ plot, view }, event) {
    if (!view) return;
    const x = event.clientX - plot.getBoundingClientRect().left - view.origin()[0];
    this.show(Math.floor((view.scale("x").invert(x) - START) / DAY), true);
  }

  press(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7, Home: -Infinity, End: Infinity };
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.show(this.day + steps[event.key], true);
  }

  /** Shows a day in all readouts, and with a line in all charts if `marked`. */
  show(day, marked) {
    this.day = Math.min(Math.max(day, this.location.first), this.last);
    for (const panel of this.panels) if (panel) this.update(panel, marked);
  }

  update({ measure, plot, readout, view }, marked) {
    const value = valueAt(this.location, measure.column, this.day);
    const mean = meanAt(this.location, measure.column, this.day);
    const figures = [`${number(value)} ${unitOf(measure)}`, `, mean ${number(mean)}`];
    readout.replaceChildren(`${inWords(this.day)}: `, element("b", { textContent: figures[0] }), figures[1]);
    plot.setAttribute("aria-valuenow", this.day);
    plot.setAttribute("aria-valuetext", `${inWords(this.day)}: ${figures.join("")}`);
    view?.signal("shown", marked ? time(this.day) : 0).run();
  }

  table(measure) {
    const { values, means } = this.location.curves[measure.column];
    const rows = values.map((value, index) => [isoDay(this.location.first + index), number(value), number(means[index])]);
    const columns = [["Day", false], [measure.title, true], ["7-day mean", true]];
    return table(`${this.location.name}: ${measure.title.toLowerCase()}, ${measure.unit}`, columns, rows);
  }
}

// --- the map and the small multiples, which share the measure ---

class StatesView {
  constructor() {
    this.tiles = [...document.querySelectorAll(".tiles a")];
    this.multiples = [...document.querySelectorAll(".multiples a")];
    this.measure = data.measures[0];
    this.day = data.shown_day;
    this.listen();
    this.showMeasure();
  }

  listen() {
    byId("measure").addEventListener("change", (event) => {
      this.measure = measureOf[event.target.value];
      this.showMeasure();
    });
    byId("slider").addEventListener("input", (event) => this.showDay(Number(event.target.value)));
    byId("day").addEventListener("change", (event) => {
      if (event.target.checkValidity()) this.showDay(Math.round((event.target.valueAsNumber - START) / DAY));
    });
    document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    for (const tile of this.tiles) {
      for (const type of ["pointerenter", "focus"]) tile.addEventListener(type, () => this.read(tile));
    }
    fillWhenOpened(byId("map-table"), () => this.table());
    fillWhenOpened(byId("multiples-table"), () => this.peakTable());
  }

  get title() {
    return `${this.measure.title} per 100,000 people`;
  }

  showMeasure() {
    this.showLegend();
    this.showDay(this.day);
    this.showMultiples();
  }

  showDay(day) {
    this.day = day;
    byId("slider").value = day;
    byId("slider").setAttribute("aria-valuetext", inWords(day));
    byId("day").value = isoDay(day);
    byId("map-title").textContent = `${this.title}, mean of the seven days to ${inWords(day)}`;
    byId("map-finding").textContent = this.finding();
    byId("map-caution").textContent = this.measure.column === "new_tests" ? "Tests are counted in different units by different states." : "";
    for (const tile of this.tiles) this.showTile(tile);
    byId("map-readout").textContent = "Point at a tile, or move to it with Tab, to read its figures.";
    byId("map-table").fill();
  }

  share(location) {
    return shareAt(location, this.measure.column, this.day);
  }

  words(share) {
    return number(share, this.measure.decimals);
  }

  finding() {
    const known = states.map(([, location]) => [location.name, this.share(location)]).filter(([, share]) => share !== null);
    if (known.length === 0) return "No state has figures for all of these seven days.";
    known.sort((a, b) => b[1] - a[1]);
    const extreme = ([name, share]) => `${name} (${this.words(share)})`;
    const national = nation && this.share(nation) !== null ? ` The nation: ${this.words(this.share(nation))}.` : "";
    const unknown = states.length - known.length;
    const missing = unknown ? ` Not known for ${unknown} of ${states.length}.` : "";
    return `Highest in ${extreme(known[0])}, lowest in ${extreme(known.at(-1))}.${national}${missing}`;
  }

  step(share) {
    return share === null ? "unknown" : `step-${this.measure.bounds.filter((bound) => share >= bound).length}`;
  }

  showTile(tile) {
    const location = data.locations[tile.dataset.location];
    const share = this.share(location);
    tile.className = this.step(share);
    tile.lastElementChild.textContent = share === null ? "n/a" : this.words(share);
    tile.setAttribute("aria-label", `${tile.dataset.location} ${tile.lastElementChild.textContent}, ${location.name}`);
  }

  read(tile) {
    const location = data.locations[tile.dataset.location];
    const { column } = this.measure;
    const figures = `${this.words(this.share(location))} per 100,000 people`;
    const rest = `; mean ${number(meanAt(location, column, this.day))} ${this.measure.unit}; on the day ${number(valueAt(location, column, this.day))}`;
    byId("map-readout").replaceChildren(`${location.name}: `, element("b", { textContent: figures }), rest);
  }

  showLegend() {
    const bounds = this.measure.bounds;
    const text = (step) => {
      if (step === 0) return `below ${number(bounds[0])}`;
      return step === bounds.length ? `${number(bounds.at(-1))} and more` : `${number(bounds[step - 1])}–${number(bounds[step])}`;
    };
    const items = Array.from({ length: bounds.length + 1 }, (_, step) => element("li", { className: `step-${step}`, textContent: text(step) }));
    byId("legend").replaceChildren(...items, element("li", { className: "unknown", textContent: "not known" }));
  }

  table() {
    const { column } = this.measure;
    const columns = [["State or territory", false], ["Per 100,000 people", true], ["7-day mean", true], ["On the day", true]];
    const rows = states.map(([, location]) => [
      location.name, this.words(this.share(location)), number(meanAt(location, column, this.day)), number(valueAt(location, column, this.day)),
    ]);
    return table(`${this.measure.title}, ${inWords(this.day)}`, columns, rows);
  }

  // --- small multiples ---

  peak(location) {
    const { peak, means } = location.curves[this.measure.column];
    return peak === null ? null : { day: peak, share: shareOf(means[peak - location.first], location) };
  }

  get top() {
    return Math.max(1e-6, ...Object.values(data.locations).map((location) => this.peak(location)?.share ?? 0));
  }

  showMultiples() {
    byId("multiples-title").textContent = `${this.title}, 7-day mean, ${inWords(0)} – ${inWords(data.days - 1)}`;
    byId("multiples-scale").textContent = `from 0 to ${this.words(this.top)}`;
    for (const link of this.multiples) {
      const location = data.locations[link.dataset.location];
      link.querySelector(".peak").textContent = this.words(this.peak(location)?.share ?? null);
      whenSeen(link, () => draw("multiple", link.querySelector(".mini"), this.rows(location), { top: this.top }));
    }
    byId("multiples-table").fill();
  }

  rows(location) {
    const { column } = this.measure;
    return Array.from({ length: data.days }, (_, day) => ({
      day: time(day), mean: shareAt(location, column, day), nation: nation ? shareAt(nation, column, day) : null,
    }));
  }

  peakTable() {
    const columns = [["State or territory", false], ["Peak per 100,000 people", true], ["Day of the peak", false]];
    const rows = states.map(([, location]) => {
      const peak = this.peak(location);
      return [location.name, this.words(peak?.share ?? null), peak ? isoDay(peak.day) : "n/a"];
    });
    return table(`${this.title}: highest 7-day mean`, columns, rows);
  }
}

// --- the parts of the states, drawn when they are opened ---

function prepareState(details) {
  const container = details.querySelector(".charts");
  let width = null;
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    if (width === null) new Charts(container);
    // Vega measures its container when the window changes; these were hidden then.
    else if (width !== container.clientWidth) window.dispatchEvent(new Event("resize"));
    width = container.clientWidth;
  });
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches("details.state")) {
    target.open = true;
    target.scrollIntoView();
  }
}

function prepareToggle(button, parts) {
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "false";
    for (const part of parts) part.open = open;
    button.setAttribute("aria-expanded", open);
    button.textContent = open ? "Close all" : "Open all";
  });
}

for (const container of document.querySelectorAll("#nation .charts")) new Charts(container);
if (states.length > 0) {
  new StatesView();
  const parts = [...document.querySelectorAll("details.state")];
  parts.forEach(prepareState);
  prepareToggle(byId("toggle-all"), parts);
  window.addEventListener("hashchange", openTarget);
  openTarget();
}
