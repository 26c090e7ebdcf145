// The page's script: draws the charts with Vega from the one copy of the data, and fills readouts and tables from it.
// A day is a number, counted from the report's first day; a figure that is not known is null.

const data = JSON.parse(document.getElementById("data").textContent);
const DAY = 86_400_000;
const START = Date.parse(data.first_day);
const PER_PEOPLE = 100_000;
// The nation has a rate on a day if places with this share of the people report. The map names the highest and the
// lowest place if at least so many have a figure.
const ENOUGH_PEOPLE = 0.95;
const ENOUGH_PLACES = 10;
const nation = data.locations[data.nation];
const states = Object.entries(data.locations).filter(([code]) => code !== data.nation);
const measureOf = Object.fromEntries(data.measures.map((measure) => [measure.column, measure]));
const byId = (id) => document.getElementById(id);

// --- figures ---

const at = (figures, location, day) => figures[day - location.first] ?? null;
const valueAt = (location, column, day) => at(location.curves[column].values, location, day);
// A measure is judged by its 7-day mean; a level, which has none, by the value itself.
const figuresOf = (curve) => curve.means ?? curve.values;
const figureAt = (location, column, day) => at(figuresOf(location.curves[column]), location, day);
const shareOf = (figure, location) => (figure === null || location.population === null ? null : (figure * PER_PEOPLE) / location.population);
const shareAt = (location, column, day) => shareOf(figureAt(location, column, day), location);
const highestOf = (figures) => figures.reduce((highest, figure) => (figure !== null && (highest === null || figure > highest) ? figure : highest), null);

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

/** Parts of a sentence: a value and, unless the measure is a level, its mean. */
function inFigures(measure, value, figure) {
  if (value === null) return ["not published"];
  const published = `${number(value)} ${measure.unit.replace(" a day", "")}`;
  return measure.is_level ? [published] : [published, `, 7-day mean ${figure === null ? "not known" : number(figure)}`];
}

// --- elements ---

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A table in a region that can be scrolled, also by keyboard; `columns` are [title, is a number]; one row may be marked. */
function table(title, columns, rows, marked = -1) {
  const cell = (tag, text, isNumber, scope) => {
    const made = element(tag, { textContent: text, className: isNumber ? "n" : "" });
    if (scope) made.scope = scope;
    return made;
  };
  const head = element("tr", {}, ...columns.map(([text, isNumber]) => cell("th", text, isNumber, "col")));
  const body = rows.map((row, place) => element("tr", { className: place === marked ? "marked" : "" }, ...row.map((text, index) =>
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

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The link that an arrow key leads to: the nearest in line with `link`, else the nearest of the others. */
function neighbor(links, link, [right, down]) {
  const place = (each) => { const box = each.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2, box.width, box.height]; };
  const [x, y, width, height] = place(link);
  const distances = links.map((each) => {
    const [eachX, eachY] = place(each);
    const [ahead, aside] = right ? [(eachX - x) * right, Math.abs(eachY - y) / height] : [(eachY - y) * down, Math.abs(eachX - x) / width];
    return [each, ahead, aside < 0.5 ? ahead : 1e6 + ahead + aside * 3 * (right ? width : height)];
  });
  return distances.filter(([, ahead]) => ahead > 1).sort((a, b) => a[2] - b[2])[0]?.[0];
}

/** Makes many links one stop of the Tab key, with arrow keys between them. */
function rove(links) {
  const choose = (link) => links.forEach((each) => { each.tabIndex = each === link ? 0 : -1; });
  choose(links[0]);
  for (const link of links) {
    link.addEventListener("focus", () => choose(link));
    link.addEventListener("keydown", (event) => {
      if (!(event.key in ARROWS) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      neighbor(links, link, ARROWS[event.key])?.focus();
    });
  }
}

// --- drawing ---

const views = new WeakMap();

/** Draws a chart in the place of the last one, hidden from screen readers, and resolves to its view. */
async function draw(name, container, rows, signals = {}) {
  const chart = data.charts[name];
  const filled = {
    ...chart,
    height: container.clientHeight,
    data: chart.data.map((set) => (set.name === "days" ? { ...set, values: rows } : set)),
    signals: chart.signals.map((signal) => (signal.name in signals ? { ...signal, value: signals[signal.name] } : signal)),
  };
  // Errors only: Vega would warn that no day is pointed at yet.
  const options = { logLevel: 1, mode: "vega", renderer: "svg", actions: false, defaultStyle: false, hover: false, tooltip: false };
  const drawing = element("div");
  drawing.setAttribute("aria-hidden", "true");
  container.replaceChildren(drawing);
  views.get(container)?.finalize();
  const { view } = await vegaEmbed(drawing, filled, options);
  views.set(container, view);
  return view;
}

// The charts still to be drawn: in idle time, or at once when they come near the view or the page is printed.
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
    const owner = element("span", { className: "unseen", textContent: `, ${this.location.name}` });
    details.firstElementChild.append(`Table: ${measure.title.toLowerCase()}`, owner);
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
      day: time(day), value: at(curve.values, this.location, day), figure: at(figuresOf(curve), this.location, day),
      peak: day === curve.peak ? number(figuresOf(curve)[day - first]) : null,
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
    if (event.key === "Escape") this.show(this.last, false);
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
    const { column } = measure;
    const figures = inFigures(measure, valueAt(this.location, column, this.day), figureAt(this.location, column, this.day));
    readout.replaceChildren(`${inWords(this.day)}: `, element("b", { textContent: figures[0] }), ...figures.slice(1));
    plot.setAttribute("aria-valuenow", this.day);
    plot.setAttribute("aria-valuetext", `${inWords(this.day)}: ${figures.join("")}`);
    view?.signal("shown", marked ? time(this.day) : 0).run();
  }

  /** The newest day first; from the first day on that has a value. */
  table(measure) {
    const { values, means, peak } = this.location.curves[measure.column];
    const { first, name } = this.location;
    const start = values.findIndex((value) => value !== null);
    const rows = values.map((value, index) => [
      `${isoDay(first + index)}${first + index === peak ? " (peak)" : ""}`, number(value), ...(means ? [number(means[index])] : []),
    ]).slice(start).reverse();
    const columns = [["Day", false], [measure.title, true], ["7-day mean", true]].slice(0, means ? 3 : 2);
    const marked = peak === null ? -1 : values.length - 1 - (peak - first);
    return table(`${name}: ${measure.title.toLowerCase()}, ${measure.unit}`, columns, rows, marked);
  }
}

// --- the map and the small multiples, which share the measure ---

class StatesView {
  constructor() {
    this.tiles = [...document.querySelectorAll(".tiles a")];
    this.multiples = [...document.querySelectorAll(".multiples a")];
    this.measure = data.measures[0];
    this.day = data.shown_day;
    this.people = states.reduce((sum, [, location]) => sum + (location.population ?? 0), 0);
    this.listen();
    this.showMeasure();
    this.followAddress();
  }

  listen() {
    byId("measure").addEventListener("change", (event) => {
      this.measure = measureOf[event.target.value];
      this.showMeasure();
      this.writeAddress();
    });
    byId("slider").addEventListener("input", (event) => this.showDay(Number(event.target.value)));
    byId("slider").addEventListener("change", () => this.writeAddress());
    byId("day").addEventListener("change", (event) => this.choose(event.target));
    document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("hashchange", () => this.followAddress());
    for (const tile of this.tiles) this.listenTo(tile);
    rove(this.tiles);
    rove(this.multiples);
    fillWhenOpened(byId("map-table"), () => this.table());
    fillWhenOpened(byId("multiples-table"), () => this.highestTable());
  }

  /** A tile is read when it is pointed at or reached by keyboard. A first touch reads it, a second follows its link. */
  listenTo(tile) {
    for (const type of ["pointerenter", "focus"]) tile.addEventListener(type, () => this.read(tile));
    tile.addEventListener("keydown", (event) => { if (event.key === "Escape") this.advise(); });
    tile.addEventListener("click", (event) => {
      if (event.pointerType !== "touch" || this.touched === tile) return;
      event.preventDefault();
      this.touched = tile;
      this.read(tile);
      byId("map-readout").append(". Touch it again for its curves.");
    });
  }

  choose(input) {
    const isGood = input.checkValidity();
    byId("day-trouble").textContent = isGood ? "" : `Choose a day from ${inWords(0)} to ${inWords(data.days - 1)}.`;
    input.setAttribute("aria-invalid", !isGood);
    if (!isGood) return;
    this.showDay(Math.round((input.valueAsNumber - START) / DAY));
    this.writeAddress();
  }

  // --- the address: #map/new_deaths/2021-01-11 ---

  writeAddress() {
    history.replaceState(null, "", `#map/${this.measure.column}/${isoDay(this.day)}`);
  }

  followAddress() {
    const [part, column, day] = location.hash.slice(1).split("/");
    const index = Math.round((Date.parse(day) - START) / DAY);
    if (part !== "map" || !Object.hasOwn(measureOf, column) || !(index >= 0 && index < data.days)) return;
    this.measure = measureOf[column];
    this.day = index;
    this.showMeasure();
    byId("map").scrollIntoView();
  }

  // --- figures ---

  share(location) {
    return shareAt(location, this.measure.column, this.day);
  }

  words(share) {
    return number(share, this.measure.decimals);
  }

  /** The step of the colors, by the rounded figure, so that what is printed lies between the printed limits. */
  step(share) {
    if (share === null) return "unknown";
    const printed = Number(this.words(share).replaceAll(",", "").replace("−", "-"));
    return `step-${this.measure.bounds.filter((bound) => printed >= bound).length}`;
  }

  /** The number of places that have a figure of a day, and the share of the people who live there. */
  coverage(day) {
    const known = states.filter(([, location]) => figureAt(location, this.measure.column, day) !== null);
    const people = known.reduce((sum, [, location]) => sum + (location.population ?? 0), 0);
    return { places: known.length, people: this.people ? people / this.people : 0 };
  }

  coverageInWords({ places, people }) {
    return `${places} of ${states.length} places, with ${Math.floor(people * 100)}% of the people`;
  }

  get title() {
    return `${this.measure.title} per 100,000 people`;
  }

  // --- the map ---

  showMeasure() {
    byId("measure").value = this.measure.column;
    this.coverages = Array.from({ length: data.days }, (_, day) => this.coverage(day));
    this.national = this.coverages.map(({ people }, day) => (nation && people >= ENOUGH_PEOPLE ? shareAt(nation, this.measure.column, day) : null));
    this.showLegend();
    this.showDay(this.day);
    this.showMultiples();
  }

  showDay(day) {
    this.day = day;
    byId("slider").value = day;
    byId("slider").setAttribute("aria-valuetext", inWords(day));
    byId("day").value = isoDay(day);
    byId("day").setAttribute("aria-invalid", "false");
    byId("day-trouble").textContent = "";
    byId("map-title").textContent = `${this.title}, ${this.measure.is_level ? "" : "mean of the seven days to "}${inWords(day)}`;
    byId("map-finding").textContent = `${this.extremes()} ${this.ofNation()}`;
    byId("map-caution").textContent = this.measure.column === "new_tests" ? "Tests are counted in different units by different states." : "";
    for (const tile of this.tiles) this.showTile(tile);
    this.advise();
    byId("map-table").fill();
  }

  extremes() {
    const known = states.map(([, location]) => [location.name, this.share(location)]).filter(([, share]) => share !== null);
    if (known.length === 0) return this.measure.is_level ? "No place published a figure." : "No place has figures for all of these seven days.";
    if (known.length < ENOUGH_PLACES) return "Too few places to name the highest and the lowest.";
    known.sort((a, b) => b[1] - a[1]);
    const [highest, lowest] = [known[0], known.at(-1)].map(([, share]) => this.words(share));
    const where = (words) => {
      const names = known.filter(([, share]) => this.words(share) === words).map(([name]) => name);
      return names.length === 1 ? names[0] : `${names.length} places`;
    };
    return highest === lowest ? `${highest} in all places that report.` : `Highest: ${highest} in ${where(highest)}; lowest: ${lowest} in ${where(lowest)}.`;
  }

  /** The nation's rate, and how many report if not all do. */
  ofNation() {
    const coverage = this.coverages[this.day];
    const share = this.national[this.day];
    const rate = share === null ? "" : `The nation: ${this.words(share)}. `;
    if (coverage.places === states.length) return rate;
    const tooFew = nation && coverage.people < ENOUGH_PEOPLE ? ": too few for a rate of the nation" : "";
    return `${rate}Reported by ${this.coverageInWords(coverage)}${tooFew}.`;
  }

  showTile(tile) {
    const location = data.locations[tile.dataset.location];
    const share = this.share(location);
    tile.className = this.step(share);
    tile.lastElementChild.textContent = this.words(share);
    tile.setAttribute("aria-label", `${tile.dataset.location} ${share === null ? "not known" : this.words(share)}, ${location.name}`);
  }

  advise() {
    this.touched = null;
    byId("map-readout").textContent = matchMedia("(hover: none)").matches
      ? "Touch a tile to read its figures, and again for its curves."
      : "Point at a tile, or move from tile to tile with the arrow keys, to read its figures. A tile leads to its state.";
  }

  read(tile) {
    const location = data.locations[tile.dataset.location];
    const { column } = this.measure;
    const share = this.share(location);
    const figures = inFigures(this.measure, valueAt(location, column, this.day), figureAt(location, column, this.day)).join("");
    const rate = share === null ? [] : [element("b", { textContent: `${this.words(share)} per 100,000 people` }), "; "];
    byId("map-readout").replaceChildren(`${location.name}: `, ...rate, figures);
  }

  showLegend() {
    const { bounds } = this.measure;
    const limit = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 6 });
    const text = (step) => {
      if (step === 0) return `below ${limit(bounds[0])}`;
      const reach = step === bounds.length && this.top > bounds.at(-1) ? ` to ${this.words(this.top)}` : "";
      return `from ${limit(bounds[step - 1])}${reach}`;
    };
    const items = Array.from({ length: bounds.length + 1 }, (_, step) => element("li", { className: `step-${step}`, textContent: text(step) }));
    byId("legend").replaceChildren(...items, element("li", { className: "unknown", textContent: "not known" }));
  }

  table() {
    const { column, is_level: isLevel, unit } = this.measure;
    const columns = [["State or territory", false], ["Per 100,000 people", true], ...(isLevel ? [[unit, true]] : [["7-day mean", true], ["On the day", true]])];
    const rows = states.map(([, location]) => [
      location.name, this.words(this.share(location)), ...(isLevel ? [] : [number(figureAt(location, column, this.day))]), number(valueAt(location, column, this.day)),
    ]);
    return table(`${this.measure.title}, ${inWords(this.day)}`, columns, rows);
  }

  // --- small multiples ---

  /** The highest figure per 100,000 people of all days; null where none is known. */
  highest(location) {
    return shareOf(highestOf(figuresOf(location.curves[this.measure.column])), location);
  }

  get top() {
    return Math.max(1e-6, ...states.map(([, location]) => this.highest(location) ?? 0));
  }

  showMultiples() {
    const { top, measure } = this;
    byId("multiples-title").textContent = `${this.title}, ${measure.is_level ? "" : "7-day mean, "}${inWords(0)} – ${inWords(data.days - 1)}`;
    byId("multiples-scale").textContent = `from 0 to ${this.words(top)}`;
    byId("nation-key").hidden = this.national.every((share) => share === null);
    byId("nation-coverage").textContent = this.coverageOfLine();
    for (const link of this.multiples) {
      const location = data.locations[link.dataset.location];
      link.querySelector(".peak").textContent = this.words(this.highest(location));
      whenSeen(link, () => draw("multiple", link.querySelector(".mini"), this.rows(location), { top }));
    }
    byId("multiples-table").fill();
  }

  /** Where the nation's line is missing, and why. */
  coverageOfLine() {
    if (!nation) return "";
    if (this.national.some((share) => share !== null)) return `The nation has a line where places with ${ENOUGH_PEOPLE * 100}% of the people report.`;
    const best = this.coverages.reduce((most, each) => (each.people > most.people ? each : most));
    return `The nation has no line: no more report than ${this.coverageInWords(best)}.`;
  }

  rows(location) {
    const { column } = this.measure;
    return Array.from({ length: data.days }, (_, day) => ({ day: time(day), figure: shareAt(location, column, day), nation: this.national[day] }));
  }

  highestTable() {
    const columns = [["State or territory", false], ["Highest per 100,000 people", true], ["Day of the peak", false]];
    const rows = states.map(([, location]) => {
      const highest = this.highest(location);
      const { peak } = location.curves[this.measure.column];
      const never = highest === null ? "not published" : "never above zero";
      return [location.name, this.words(highest), peak === null ? never : isoDay(peak)];
    });
    return table(`${this.title}: highest ${this.measure.is_level ? "figure" : "7-day mean"}`, columns, rows);
  }
}

// --- the parts of the states, drawn when they are opened ---

function prepareState(details) {
  const container = details.querySelector(".charts");
  let width = null;
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    if (width === null) new Charts(container);
    // Vega measures a container when the window changes, but this one was hidden then.
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
