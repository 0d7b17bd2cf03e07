"use strict";
/* Draws the page from the JSON in #data. Names enter as text only, never as markup. */
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const [ink, line, blue, amber] = ["--soft", "--line", "--blue", "--amber"].map(css);
const charts = [];
Chart.defaults.color = ink; Chart.defaults.borderColor = line;
Chart.defaults.animation = false; Chart.defaults.maintainAspectRatio = false;
Chart.defaults.plugins.legend.labels.boxWidth = 12;

const fmt = (v, digits = 4) => v === null || v === undefined ? "–" : String(Number(v.toPrecision(digits)));
const times = v => v === null || v === undefined ? "–" : v.toFixed(2) + "×";
const timed = r => (r.status === "ok" || r.status === "slow") && r.time_us > 0;
const short = v => v.slice(v.indexOf("/") + 1);

function add(parent, tag, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return parent.appendChild(e);
}
function chart(parent, title, config, height) {
  const cell = add(parent, "div");
  add(cell, "h3", title);
  const box = add(cell, "div", undefined, "chart");
  if (height) box.style.height = height + "rem";
  charts.push(new Chart(add(box, "canvas"), config));
}
const axis = (text, more) => ({ title: { display: true, text }, ...more });
const rejectedOf = o => Object.entries(o.rejected).filter(([, n]) => n > 0);
const countsText = o => `${o.evaluated} evaluated: ${o.right} right, ${o.evaluated - o.right} rejected` +
  (rejectedOf(o).length ? ` (${rejectedOf(o).map(([why, n]) => `${n} ${why}`).join(", ")})` : "");

function summary() {
  const t = data.tally;
  add(page, "h1", "What was tuned");
  add(page, "p", `${data.device}${data.target ? ` (${data.target})` : ""}, ${data.date}, Tunesmith ${data.version}`, "soft");
  const total = add(page, "p", countsText(t)); total.id = "counts";
  const gain = add(page, "p", `${t.winners} winners of ${t.problems} problems` +
    (t.speedup === null ? "" : `, ${times(t.speedup)} over the defaults (geometric mean)`)); gain.id = "gain";
  const table = add(add(page, "div", undefined, "wide"), "table"), head = add(table, "tr");
  for (const [i, h] of ["problem", "winner", "time µs", "default µs", "speed-up", "GB/s", "GFLOP/s", "of copy limit", "evaluated", "rejected"].entries())
    add(head, "th", h, i > 1 ? "n" : "");
  for (const [i, p] of data.problems.entries()) {
    const w = p.winner, b = p.best, row = add(table, "tr"), rate = w && w.time_us ? 1e6 / w.time_us : null;
    add(add(row, "td"), "a", p.problem).href = "#p" + i;
    add(row, "td", b ? short(b.variant) : w ? short(w.variant) : "none");
    const cells = [b && fmt(b.time_us), b && fmt(b.default_us),
      w && w.evidence !== "measured" ? w.evidence : w && w.verdict !== "win" ? w.verdict : b && times(b.speedup),
      rate && fmt(w.gbytes * rate, 3), rate && fmt(w.gflops * rate, 3),
      rate && data.copy_gbytes ? Math.round(100 * w.gbytes * rate / data.copy_gbytes) + " %" : null,
      p.evaluated, p.evaluated - p.right];
    for (const c of cells) add(row, "td", c === null || c === undefined || c === false ? "–" : c, "n");
  }
}

/* Time of what was measured against what its bytes and FLOPs would take at best. */
function roofline() {
  const points = data.problems.filter(p => p.winner && p.winner.time_us > 0 && p.winner.gbytes > 0)
    .map(p => ({ x: Math.max(p.winner.gflops / p.winner.gbytes, 1e-3), y: Math.max(p.winner.gflops, 1e-9) * 1e6 / p.winner.time_us, name: p.problem }));
  if (!points.length) return;
  const xs = points.map(p => p.x), low = Math.min(...xs) / 2, high = Math.max(...xs) * 2, sets = [
    { type: "scatter", label: "winners", data: points, backgroundColor: blue, pointRadius: 5 }];
  if (data.copy_gbytes) sets.push({ type: "line", label: `copy limit, ${fmt(data.copy_gbytes, 3)} GB/s`, pointRadius: 0, borderColor: amber,
    data: [low, high].map(x => ({ x, y: x * data.copy_gbytes })) });
  add(page, "h2", "Against the roofline");
  add(page, "p", data.copy_gbytes ? "Below the line: bytes or arithmetic could go faster; above it the data came from a cache."
    : "The device's copy speed is known only to the run that measures it, so no limit is drawn.", "soft");
  chart(page, "", { data: { datasets: sets }, options: {
    scales: { x: axis("FLOPs a byte", { type: "logarithmic" }), y: axis("GFLOP/s", { type: "logarithmic" }) },
    plugins: { tooltip: { callbacks: { label: c => `${c.raw.name || ""} ${fmt(c.raw.y, 3)} GFLOP/s` } } } } }, 20);
}

function curve(parent, p) {
  const known = p.results.every(r => r.at !== null), order = known ? [...p.results].sort((a, b) => a.at - b.at) : p.results;
  const all = [], best = [];
  let least = Infinity;
  order.forEach((r, i) => { if (!timed(r)) return; all.push({ x: i + 1, y: r.time_us, name: r.variant });
    if (r.time_us < least) least = r.time_us; best.push({ x: i + 1, y: least }); });
  if (!all.length) return;
  chart(parent, "Best so far", { data: { datasets: [
    { type: "line", label: "best so far", data: best, borderColor: blue, stepped: true, pointRadius: 0 },
    { type: "scatter", label: "each variant", data: all, backgroundColor: amber, pointRadius: 2.5 }] },
    options: { scales: { x: axis("evaluation", { type: "linear", ticks: { precision: 0 } }), y: axis("µs, logarithmic", { type: "logarithmic" }) },
      plugins: { tooltip: { callbacks: { label: c => `${c.raw.name ? short(c.raw.name) + ": " : ""}${fmt(c.raw.y)} µs` } } } } });
}

function intervals(parent, p) {
  const runners = p.winner && p.winner.evidence === "measured" ? p.winner.finalists.filter(f => f.ci_low_us !== null && f.median_us !== null) : [];
  if (!runners.length) return;
  const low = Math.min(...runners.map(f => f.ci_low_us)), high = Math.max(...runners.map(f => f.ci_high_us)), room = (high - low) / 5 || high / 50;
  chart(parent, runners.length > 1 ? "Finalists, 95 % intervals of the median" : "The winner's 95 % interval of the median", { type: "bar",
    data: { labels: runners.map(f => short(f.variant)), datasets: [{ label: "95 % interval", data: runners.map(f => [f.ci_low_us, f.ci_high_us]),
      backgroundColor: runners.map(f => f.variant === p.winner.variant ? blue : amber), maxBarThickness: 14, minBarLength: 3 }] },
    options: { indexAxis: "y", plugins: { legend: { display: false } }, scales: { x: axis("µs", { min: low - room, max: high + room }),
      y: { ticks: { callback(v) { const s = this.getLabelForValue(v); return s.length > 26 ? s.slice(0, 25) + "…" : s; } } } } } });
}

function reasons(parent, p) {
  const rejected = rejectedOf(p);
  if (!rejected.length) return;
  chart(parent, "Rejected, by reason", { type: "bar", data: { labels: rejected.map(r => r[0]), datasets: [{ data: rejected.map(r => r[1]), backgroundColor: amber, maxBarThickness: 18 }] },
    options: { indexAxis: "y", plugins: { legend: { display: false } }, scales: { x: axis("variants", { beginAtZero: true, ticks: { precision: 0 } }) } } });
}

/* Best and median time of the variants that have a value, whatever their others. */
function effects(parent, p) {
  const by = new Map();
  for (const r of p.results.filter(timed)) {
    const [name, ...pairs] = r.variant.split(" ");
    for (const pair of [`version=${short(name)}`, ...pairs]) {
      const cut = pair.indexOf("="), key = pair.slice(0, cut), value = pair.slice(cut + 1);
      if (!by.has(key)) by.set(key, new Map());
      if (!by.get(key).has(value)) by.get(key).set(value, []);
      by.get(key).get(value).push(r.time_us);
    }
  }
  for (const [key, values] of by) {
    if (values.size < 2) continue;
    const labels = [...values.keys()].sort((a, b) => a - b || (a < b ? -1 : 1));
    const at = labels.map(l => [...values.get(l)].sort((a, b) => a - b));
    const median = v => v.length % 2 ? v[v.length >> 1] : (v[v.length / 2 - 1] + v[v.length / 2]) / 2;
    chart(parent, `Effect of ${key}`, { type: "bar", data: { labels: labels.map((l, i) => `${l} (${at[i].length})`), datasets: [
      { label: "best", data: at.map(v => v[0]), backgroundColor: blue, maxBarThickness: 22 }, { label: "median", data: at.map(median), backgroundColor: amber, maxBarThickness: 22 }] },
      options: { scales: { y: axis("µs", { beginAtZero: true }) } } });
  }
}

summary();
roofline();
data.problems.forEach((p, i) => {
  const section = add(page, "section");
  section.id = "p" + i;
  add(section, "h2", p.problem);
  add(section, "p", countsText(p), "soft");
  const b = p.best, w = p.winner;
  if (b) add(section, "p", `${w && w.evidence === "measured" ? w.verdict : "best so far"}: ${b.variant}, ${fmt(b.time_us)} µs` +
    (w && w.ci_low_us !== null ? ` (95 % interval ${fmt(w.ci_low_us)} to ${fmt(w.ci_high_us)})` : "") + `, default ${fmt(b.default_us)} µs`);
  const grid = add(section, "div", undefined, "charts");
  for (const draw of [curve, intervals, reasons, effects]) draw(grid, p);
});
addEventListener("beforeprint", () => charts.forEach(c => c.resize()));
document.documentElement.dataset.drawn = charts.length;
