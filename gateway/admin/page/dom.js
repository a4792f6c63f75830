// Small helpers. Everything that comes from the server reaches the page as text, never as markup.
const $ = (id) => document.getElementById(id);

// element('td', {class: 'number', 'data-name': 'x'}, 'text', childNode)
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(name, attributes = {}) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// Settings of this browser; private windows may have no storage.
function stored(name) {
  try {
    return localStorage.getItem(`vallm-${name}`);
  } catch {
    return null;
  }
}
function store(name, value) {
  try {
    localStorage.setItem(`vallm-${name}`, value);
  } catch {
    // It is as it was next time.
  }
}

const plain = (value) => Math.round(value).toLocaleString('en-US');
// 7, 7.5, 812, 12.3k, 4.1M
function short(value) {
  if (value >= 999500) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 9999.5) return `${(value / 1e3).toFixed(1)}k`;
  if (value >= 100 || Number.isInteger(value)) return plain(value);
  return value.toFixed(1);
}
const percent = (share) => `${Math.round(share * 100)} %`;
function milliseconds(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(ms < 10e3 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60e3)} min ${Math.round((ms % 60e3) / 1000)} s`;
}
function uptime(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}
const clock = (seconds, options) => new Date(seconds * 1000).toLocaleTimeString(language === 'zh' ? 'zh-CN' : 'en-GB', options);
