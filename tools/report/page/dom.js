"use strict";
const report = { kinds: {} };

// element("td.text", {title: "x"}, "a", child): text is always text, never markup.
function element(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function number(value, digits = 2) {
  if (typeof value !== "number" || !isFinite(value)) return "–";
  const places = Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? Math.min(digits, 1) : digits;
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

// columns: {name, value: row => any, text: value => string, left: boolean}. Heads sort; onChoose makes rows choosable.
function table(columns, rows, onChoose) {
  let order = { column: null, up: true };
  let chosen = null;
  const body = element("tbody");
  const heads = columns.map((column) => element(column.left ? "th.text" : "th", { scope: "col" },
    element("button", { type: "button", click: () => sortBy(column) }, column.name)));

  function sortBy(column) {
    order = { column, up: order.column === column ? !order.up : true };
    draw();
  }
  function draw() {
    const sorted = [...rows];
    if (order.column) {
      sorted.sort((a, b) => {
        const x = order.column.value(a), y = order.column.value(b);
        const less = typeof x === "number" && typeof y === "number" ? x - y
          : String(x ?? "").localeCompare(String(y ?? ""), "en", { numeric: true });
        return order.up ? less : -less;
      });
    }
    heads.forEach((head, i) => {
      if (columns[i] === order.column) head.setAttribute("aria-sort", order.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...sorted.map((row) => {
      const cells = columns.map((column) => {
        const value = column.value(row);
        return element(column.left ? "td.text" : "td", {}, column.text ? column.text(value) : String(value ?? "–"));
      });
      if (!onChoose) return element("tr", {}, ...cells);
      const choose = () => { chosen = row; onChoose(row); draw(); };
      return element(row === chosen ? "tr.chosen" : "tr", {
        tabindex: 0, click: choose,
        keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } },
      }, ...cells);
    }));
  }
  if (onChoose && rows.length) { chosen = rows[0]; onChoose(chosen); }
  draw();
  return element("div.panel.scroll", {}, element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));
}
