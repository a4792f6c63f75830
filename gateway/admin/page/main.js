// Asks, and shows what comes: the overview every second, requests every second and a half, the
// history whenever a point may be new. Nothing is asked for while the page is hidden.
const RANGES = [
  {seconds: 300, step: 2, name: () => t('minutes', 5)},
  {seconds: 900, step: 5, name: () => t('minutes', 15)},
  {seconds: 3600, step: 15, name: () => t('hour')},
];
const FILTERS = ['all', 'active', 'erroneous'];
const CHARTS = [
  {title: 'throughput', format: short, floor: 10, series: [
    {name: 'generated_tokens_per_second', text: 'output', color: 'accent', fill: true},
    {name: 'prompt_tokens_per_second', text: 'input', color: 'second'}]},
  {title: 'load', format: short, floor: 4, series: [
    {name: 'running', text: 'running', color: 'accent', fill: true},
    {name: 'queued', text: 'queued', color: 'third'},
    {name: 'waiting', text: 'at_engines', color: 'second'}]},
  {title: 'first_token', format: milliseconds, floor: 10, series: [
    {name: 'first_token_p50_ms', text: 'p50', color: 'accent'},
    {name: 'first_token_p99_ms', text: 'p99', color: 'third'}]},
  {title: 'outcome', format: short, floor: 4, series: [
    {name: 'succeeded', text: 'succeeded', color: 'good', fill: true},
    {name: 'refused', text: 'refused', color: 'third'},
    {name: 'aborted', text: 'aborted', color: 'dim'},
    {name: 'failed', text: 'failed', color: 'bad'}]},
  {title: 'kv_usage', format: percent, ceiling: 1, series: [
    {name: 'kv_cache_usage', text: 'used', color: 'accent', fill: true}]},
];

const state = {overview: null, requests: null, history: null, range: RANGES[0]};
const charts = CHARTS.map((chart) => new Chart($('charts'), chart));

// The line above everything: what went wrong last, or null.
function notice(text) {
  $('banner').hidden = text === null;
  $('banner').textContent = text ?? '';
}

let offline = false;
function reached(yes) {
  if (offline === !yes) return;
  offline = !yes;
  notice(offline ? t('offline') : null);
  $('main').classList.toggle('stale', offline);
  showHealth();
}

async function ask(path) {
  try {
    const answer = await call('GET', path);
    reached(true);
    return answer;
  } catch (error) {
    if (error instanceof Refused) notice(t('failure', error.message));
    else reached(false);
    return null;
  }
}

function showHealth() {
  const overview = state.overview;
  if (!overview) return;
  const serving = overview.instances.filter((instance) => instance.serving).length;
  const all = overview.instances.length;
  const color = offline || serving === 0 ? 'bad' : serving < all || overview.draining ? 'warn' : 'good';
  $('health-dot').className = `dot ${color}`;
  $('health-text').textContent = overview.draining ? t('gateway_draining') : t('serving_count', serving, all);
  $('model').textContent = overview.models.join(', ');
  document.title = overview.models.length > 0 ? `${overview.models[0]} · vallm` : 'vallm';
  $('version').textContent = `vallm ${overview.version} · ${t('uptime', uptime(overview.uptime_seconds))}`;
}

function tile(name, value, unit, note, bad = false) {
  return element('div', {class: bad ? 'tile bad' : 'tile', 'data-tile': name},
    element('div', {class: 'name'}, t(name)),
    element('div', {class: 'value'}, value, unit ? element('small', {}, unit) : null),
    element('div', {class: 'note'}, note || '\u00a0'));
}

function showTiles() {
  const {overview, history} = state;
  if (!overview) return;
  const sum = (field) => overview.instances.reduce((total, instance) => total + instance[field], 0);
  const column = (name) => history?.series[name] ?? [];
  const latest = (name) => column(name).findLast((value) => value !== null) ?? null;
  const total = (name) => column(name).reduce((all, value) => all + (value ?? 0), 0);
  const failed = total('failed');
  const requests = failed + total('succeeded') + total('refused') + total('aborted');
  const p99 = latest('first_token_p99_ms');
  $('tiles').replaceChildren(
    tile('output', short(sum('tokens_per_second')), t('tokens_s')),
    tile('input', short(latest('prompt_tokens_per_second') ?? 0), t('tokens_s')),
    tile('running', plain(sum('running')), null, t('of', sum('limit'))),
    tile('queue', plain(overview.queue.waiting), null, t('queue_note', plain(overview.queue.limit))),
    tile('first_token', milliseconds(latest('first_token_p50_ms')), null, p99 === null ? '' : t('p99_note', milliseconds(p99))),
    tile('errors', plain(failed), null, `${t('of', plain(requests))} · ${t('last_minutes', state.range.name())}`, failed > 0));
}

async function refreshOverview() {
  const overview = await ask('/api/v1/overview');
  if (!overview) return;
  state.overview = overview;
  showHealth();
  showTiles();
  showInstances(overview.instances);
}

async function refreshRequests() {
  const requests = await ask('/api/v1/requests?limit=100');
  if (!requests) return;
  state.requests = requests;
  showRequests(requests);
}

// What is known already is not asked for again.
async function refreshHistory() {
  const {seconds, step} = state.range;
  const now = Math.floor(Date.now() / 1000);
  const known = state.history?.step === step && state.history.times.length > 0 ? state.history : null;
  const server = state.overview?.time ?? now;  // clocks may differ
  const from = known ? known.times.at(-1) + step : Math.floor(server) - seconds;
  const answer = await ask(`/api/v1/history?from=${from}&step=${step}`);
  if (!answer || answer.step !== state.range.step) return;
  if (known === state.history && known) {
    known.times.push(...answer.times);
    const old = Math.max(0, known.times.length - Math.ceil(seconds / step));
    known.times.splice(0, old);
    for (const [name, column] of Object.entries(known.series)) {
      column.push(...answer.series[name]);
      column.splice(0, old);
    }
  } else {
    state.history = answer;
  }
  showCharts();
  showTiles();
}

function showCharts() {
  const {history, range} = state;
  if (!history || history.times.length === 0) return charts.forEach((chart) => chart.draw());
  const end = history.times.at(-1);
  for (const chart of charts) chart.set(end - range.seconds + range.step, end, range.step, history.times, history.series);
}

// Buttons of which one is pressed.
function choice(parent, options, name, current, choose) {
  parent.replaceChildren(...options.map((option) => {
    const button = element('button', {type: 'button', 'aria-pressed': String(option === current())}, name(option));
    button.addEventListener('click', () => {
      choose(option);
      choice(parent, options, name, current, choose);
    });
    return button;
  }));
}

function showChoices() {
  choice($('range'), RANGES, (range) => range.name(), () => state.range, (range) => {
    state.range = range;
    state.history = null;
    refreshHistory();
  });
  choice($('filter'), FILTERS, t, () => filter, (chosen) => {
    filter = chosen;
    if (state.requests) showRequests(state.requests);
  });
  $('phase-legend').replaceChildren(...PHASES.map((phase) =>
    element('span', {class: 'key'}, element('i', {class: `phase-${phase}`}), phaseName(phase))));
}

function showTheme() {
  const theme = stored('theme') ?? 'auto';
  document.documentElement.style.colorScheme = theme === 'auto' ? '' : theme;
  $('theme').textContent = t(`theme_${theme}`);
}

function showAll() {
  translatePage();
  $('language').textContent = t('other');
  $('lock').hidden = !adminKey();
  showTheme();
  showChoices();
  showHealth();
  showTiles();
  if (state.overview) showInstances(state.overview.instances);
  if (state.requests) showRequests(state.requests);
  showCharts();
}

// Runs `refresh` again and again, one at a time, as long as somebody looks.
async function repeat(refresh, interval) {
  for (;;) {
    if (!document.hidden) await refresh();
    await new Promise((resolve) => setTimeout(resolve, interval()));
  }
}

$('language').addEventListener('click', () => {
  language = language === 'zh' ? 'en' : 'zh';
  store('language', language);
  showAll();
});
$('theme').addEventListener('click', () => {
  const themes = ['auto', 'light', 'dark'];
  store('theme', themes[(themes.indexOf(stored('theme') ?? 'auto') + 1) % themes.length]);
  showTheme();
});
$('lock').addEventListener('click', () => {
  sessionStorage.removeItem(KEY_NAME);
  location.reload();
});
for (const button of document.querySelectorAll('[data-close]')) {
  button.addEventListener('click', () => button.closest('dialog').close('cancel'));
}
$('more').addEventListener('click', () => {
  expanded = !expanded;
  if (state.requests) showRequests(state.requests);
});
$('add').addEventListener('click', openAddDialog);
$('add-dialog').addEventListener('submit', submitAdd);

showAll();
repeat(refreshOverview, () => 1000);
repeat(refreshRequests, () => 1500);
repeat(refreshHistory, () => Math.min(state.range.step, 5) * 1000);
