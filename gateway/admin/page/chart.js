// A line chart over time: gaps where there is no value, a scale that starts at zero, and the values
// at the pointer in place of the latest ones.
class Chart {
  // series: [{name, text, color, fill}]; format(value) is how a value reads.
  constructor(parent, {title, series, format, floor = 1, ceiling = null}) {
    Object.assign(this, {title, series, format, floor, ceiling});
    this.times = [];
    this.columns = {};
    this.pointer = null;
    this.titleNode = element('span');
    this.keys = element('span', {class: 'keys'});
    this.none = element('div', {class: 'none'});
    this.svg = svg('svg', {role: 'img'});
    this.node = element('div', {class: 'chart', 'data-chart': title},
                        element('div', {class: 'title'}, this.titleNode, this.keys), this.svg, this.none);
    parent.append(this.node);
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.svg.addEventListener('pointermove', (event) => this.point(event.offsetX));
    this.svg.addEventListener('pointerleave', () => this.point(null));
  }

  // begin and end in seconds; a column of values, or nulls, per series.
  set(begin, end, step, times, columns) {
    Object.assign(this, {begin, end, step, times, columns});
    this.draw();
  }

  point(x) {
    this.pointer = x;
    this.draw();
  }

  // 1, 2 or 5 times a power of ten, at least the largest value.
  top() {
    if (this.ceiling) return this.ceiling;
    let top = this.floor;
    for (const {name} of this.series) for (const value of this.columns[name] ?? []) if (value > top) top = value;
    const power = 10 ** Math.floor(Math.log10(top));
    return [1, 2, 5, 10].find((m) => m * power >= top * 0.9999) * power;
  }

  draw() {
    const width = this.svg.clientWidth;
    const height = this.svg.clientHeight;
    this.titleNode.textContent = t(this.title);
    this.svg.setAttribute('aria-label', t(this.title));
    this.svg.replaceChildren();
    const known = this.series.some(({name}) => (this.columns[name] ?? []).some((value) => value !== null));
    this.none.textContent = known ? '' : t('no_data');
    if (width < 80 || !this.end) return;
    const left = 46;
    const right = width - 4;
    const bottom = height - 20;
    const top = this.top();
    const x = (time) => left + (right - left) * (time - this.begin) / (this.end - this.begin);
    const y = (value) => bottom - (bottom - 8) * Math.min(value / top, 1);
    this.drawGrid(x, y, left, right, bottom, top);
    // The first series is the one that matters most: on top.
    for (const one of [...this.series].reverse()) this.drawLine(one, x, y);
    this.drawKeys(x, left, right, bottom);
  }

  drawGrid(x, y, left, right, bottom, top) {
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(top * share)) + 0.5;
      this.svg.append(svg('line', {class: 'grid', x1: left, x2: right, y1: at, y2: at}));
      const label = svg('text', {x: left - 7, y: at + 4, 'text-anchor': 'end'});
      label.textContent = share === 0 ? '0' : this.format(top * share);
      this.svg.append(label);
    }
    const marks = right - left > 420 ? 5 : 3;
    for (let i = 0; i <= marks; ++i) {
      const time = this.begin + (this.end - this.begin) * i / marks;
      const anchor = i === 0 ? 'start' : i === marks ? 'end' : 'middle';
      const label = svg('text', {x: x(time), y: bottom + 15, 'text-anchor': anchor});
      label.textContent = clock(time, {hour: '2-digit', minute: '2-digit', second: this.end - this.begin <= 300 ? '2-digit' : undefined});
      this.svg.append(label);
    }
  }

  drawLine({name, color, fill}, x, y) {
    const column = this.columns[name] ?? [];
    let path = '';
    let area = '';
    let start = null;
    const close = (end) => {
      if (start !== null) area += `L${x(end).toFixed(1)},${y(0)}L${x(start).toFixed(1)},${y(0)}Z`;
      start = null;
    };
    this.times.forEach((time, i) => {
      const value = column[i];
      if (value === null || value === undefined) return close(this.times[i - 1]);
      const point = `${x(time).toFixed(1)},${y(value).toFixed(1)}`;
      path += `${start === null ? 'M' : 'L'}${point}`;
      area += `${start === null ? 'M' : 'L'}${point}`;
      // A value between two gaps would be invisible as a line.
      if (start === null && (column[i + 1] ?? null) === null) path += 'h1.5';
      start ??= time;
    });
    close(this.times.at(-1));
    if (!path) return;
    if (fill) {
      const node = svg('path', {d: area, 'fill-opacity': 0.1});
      node.style.fill = `var(--${color})`;
      this.svg.append(node);
    }
    const line = svg('path', {d: path, fill: 'none', 'stroke-width': 1.5, 'stroke-linejoin': 'round', 'stroke-linecap': 'round',
                              'data-series': name});
    line.style.stroke = `var(--${color})`;
    this.svg.append(line);
  }

  // The legend, with the values at the pointer or the latest ones.
  drawKeys(x, left, right, bottom) {
    let at = this.times.length - 1;
    let when = '';
    if (this.pointer !== null && this.times.length > 0) {
      const time = this.begin + (this.end - this.begin) * (this.pointer - left) / (right - left);
      at = Math.max(0, Math.min(at, Math.round((time - this.times[0]) / this.step)));
      const line = Math.round(x(this.times[at])) + 0.5;
      this.svg.append(svg('line', {class: 'cursor', x1: line, x2: line, y1: 4, y2: bottom}));
      when = clock(this.times[at]);
    }
    this.keys.replaceChildren(when, ...this.series.map(({name, text, color}) => {
      const swatch = element('i');
      swatch.style.background = `var(--${color})`;
      const value = this.columns[name]?.[at];
      const number = element('b', {}, value === null || value === undefined ? '–' : this.format(value));
      return element('span', {class: 'key'}, swatch, t(text), number);
    }));
  }
}
