// Charts as SVG. A chart is {title, note, x: {label, log}, y: {label, log}, series: [{name, points: [[x, y]], dots}]}.
const WIDTH = 460, HEIGHT = 230, LEFT = 52, RIGHT = 14, TOP = 10, BOTTOM = 36;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const color = (i) => `var(--c${i % 8})`;

function short(value) {
  const size = Math.abs(value);
  const trim = (v) => String(Number(v.toPrecision(3)));
  if (size >= 1e6) return trim(value / 1e6) + "M";
  if (size >= 1e4) return trim(value / 1e3) + "k";
  return trim(value);
}

// {at: value => pixel, ticks: [value]}; linear ones begin at 0.
function scale(values, log, from, to) {
  const finite = values.filter((value) => isFinite(value) && (!log || value > 0));
  let low = Math.min(...finite), high = Math.max(...finite);
  if (!finite.length) [low, high] = [log ? 1 : 0, 10];
  if (log) {
    if (low === high) { low /= 2; high *= 2; }
    const at = (value) => from + (to - from) * Math.log(value / low) / Math.log(high / low);
    const ticks = [];
    const steps = Math.log10(high / low) > 2.5 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
      for (const step of steps) {
        const tick = step * 10 ** power;
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
      }
    }
    return { at, ticks: ticks.length > 1 ? ticks : [low, Math.sqrt(low * high), high] };
  }
  low = Math.min(0, low);
  if (high <= low) high = low + 1;
  const raw = (high - low) / 4;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 2.5, 5, 10].find((factor) => factor * unit >= raw);
  const top = Math.ceil(high / step - 1e-9) * step;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= top + step / 1e6; tick += step) ticks.push(tick);
  return { at: (value) => from + (to - from) * (value - low) / (top - low), ticks };
}

function frame(x, y, xLabel, yLabel) {
  const parts = [];
  for (const tick of y.ticks) {
    parts.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y.at(tick), y2: y.at(tick) }));
    parts.push(svg("text", { x: LEFT - 6, y: y.at(tick) + 4, "text-anchor": "end" }, short(tick)));
  }
  let last = -Infinity;
  for (const tick of x.ticks) {
    const at = x.at(tick);
    if (at - last < 34) continue;
    last = at;
    parts.push(svg("text", { x: at, y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, short(tick)));
  }
  parts.push(svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, xLabel));
  parts.push(svg("text", { x: 12, y: (TOP + HEIGHT - BOTTOM) / 2, "text-anchor": "middle",
    transform: `rotate(-90 12 ${(TOP + HEIGHT - BOTTOM) / 2})` }, yLabel));
  return parts;
}

function legend(names) {
  if (names.length < 2) return null;
  return element("div.legend", {}, ...names.map((name, i) =>
    element("span", {}, element("i", { style: `background:${color(i)}` }), name)));
}

function figure(title, note, drawing, names = []) {
  return element("div.panel", {}, element("figure", {},
    element("figcaption", {}, element("h3", {}, title), element("span.dim", {}, note ?? "")),
    drawing, legend(names)));
}

function lineChart({ title, note, x, y, series }) {
  const kept = series.map((line) => ({ ...line, points: line.points.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b)
    && (!x.log || a > 0) && (!y.log || b > 0)) })).filter((line) => line.points.length);
  const all = kept.flatMap((line) => line.points);
  const xs = scale(all.map((point) => point[0]), x.log, LEFT, WIDTH - RIGHT);
  if (x.log) xs.ticks = [...new Set(all.map((point) => Math.round(point[0])))].sort((a, b) => a - b);  // what was measured
  const ys = scale(all.map((point) => point[1]), y.log, HEIGHT - BOTTOM, TOP);
  const lines = kept.flatMap((line, i) => {
    const path = line.points.map(([a, b]) => `${xs.at(a).toFixed(1)},${ys.at(b).toFixed(1)}`);
    const parts = [];
    if (!line.scattered) parts.push(svg("polyline", { class: "series", stroke: color(i), points: path.join(" ") }));
    if (line.dots !== false) {
      parts.push(...line.points.map(([a, b], j) => svg("circle", { cx: xs.at(a).toFixed(1), cy: ys.at(b).toFixed(1), r: line.scattered ? 2.5 : 3.2, fill: color(i) },
        svg("title", {}, `${line.name}: ${short(a)} ${x.label}, ${number(b)} ${y.label}${line.names ? ` (${line.names[j]})` : ""}`))));
    }
    return parts;
  });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title },
    ...frame(xs, ys, x.label, y.label), ...lines);
  return figure(title, note, drawing, kept.map((line) => line.name));
}

// rows: [{start, first, end, failed}] in seconds: a bar each, light until the first token.
function timeline(title, note, rows) {
  const shown = rows.slice(0, 200);
  const height = Math.max(HEIGHT, TOP + BOTTOM + shown.length * 3);
  const step = Math.min(18, (height - TOP - BOTTOM) / shown.length);
  const xs = scale(shown.flatMap((row) => [row.start, row.end]), false, LEFT, WIDTH - RIGHT);
  const bars = shown.flatMap((row, i) => {
    const bar = (from, to, fill, opacity) => svg("rect", { x: xs.at(from).toFixed(1), y: (TOP + i * step).toFixed(1),
      width: Math.max(0.8, xs.at(to) - xs.at(from)).toFixed(1), height: Math.max(1, step * 0.8).toFixed(1), fill, opacity });
    if (row.failed) return [bar(row.start, row.start, "var(--bad)", 1)];
    return [bar(row.start, row.first, color(2), 0.75), bar(row.first, row.end, color(0), 1)];
  });
  const ticks = xs.ticks.map((tick) => svg("text", { x: xs.at(tick), y: height - BOTTOM + 15, "text-anchor": "middle" }, short(tick)));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title }, ...bars, ...ticks,
    svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: height - 4, "text-anchor": "middle" }, "seconds"));
  const made = figure(title, rows.length > shown.length ? `the first ${shown.length} of ${rows.length}` : note, drawing);
  made.querySelector("figure").append(element("div.legend", {},
    element("span", {}, element("i", { style: `background:${color(2)}` }), "until the first token"),
    element("span", {}, element("i", { style: `background:${color(0)}` }), "decoding")));
  return made;
}

// bars: [{name, value, low, high}] of 0..1, one below the other.
function barChart(title, note, bars) {
  const row = 26, left = 170, height = TOP + BOTTOM + bars.length * row;
  const at = (share) => left + (WIDTH - RIGHT - left) * share;
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((tick) => [
    svg("line", { class: "grid", x1: at(tick), x2: at(tick), y1: TOP, y2: height - BOTTOM }),
    svg("text", { x: at(tick), y: height - BOTTOM + 15, "text-anchor": "middle" }, String(tick))]);
  bars.forEach((bar, i) => {
    const y = TOP + i * row;
    parts.push(svg("text", { x: left - 8, y: y + row / 2 + 4, "text-anchor": "end" }, bar.name.length > 26 ? bar.name.slice(0, 25) + "…" : bar.name));
    parts.push(svg("rect", { x: left, y: y + 5, width: Math.max(0.5, at(bar.value) - left), height: row - 10, rx: 3, fill: color(0) },
      svg("title", {}, `${bar.name}: ${number(bar.value, 4)}`)));
    if (bar.low !== undefined) {
      parts.push(svg("path", { d: `M${at(bar.low)} ${y + row / 2}H${at(bar.high)}M${at(bar.low)} ${y + 9}v${row - 18}M${at(bar.high)} ${y + 9}v${row - 18}`,
        stroke: "var(--text)", "stroke-width": 1.4, fill: "none" }));
    }
  });
  return figure(title, note, svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title }, ...parts));
}
