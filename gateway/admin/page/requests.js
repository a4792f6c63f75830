// The table of requests, those under way first.
const PHASES = ['tokenize', 'queue', 'prefill', 'decode'];
const phaseName = (phase) => t(phase === 'queue' ? 'queue_phase' : phase);
const SHORT_LIST = 15;
let filter = 'all';
let expanded = false;

function phaseBar(entry) {
  const bar = element('div', {class: 'phases'});
  const parts = [];
  for (const phase of PHASES) {
    const ms = entry[`${phase}_ms`];
    if (ms === null) continue;
    parts.push(`${phaseName(phase)} ${milliseconds(ms)}`);
    const part = element('span', {class: `phase-${phase}`});
    part.style.flexGrow = Math.max(ms, 0);
    bar.append(part);
  }
  bar.title = parts.join('\n');
  return bar;
}

function resultCell(entry) {
  if (entry.phase !== 'done') return element('span', {class: 'pill warn'}, phaseName(entry.phase));
  const bad = entry.status >= 500 || entry.status === 0;
  const color = entry.status < 400 ? 'good' : bad ? 'bad' : 'dim';
  const reason = entry.status < 400 ? entry.finish_reason : '';
  return element('span', {class: `pill ${color}`}, reason ? `${entry.status} ${reason}` : String(entry.status));
}

function requestRow(entry) {
  const cell = (name, content, className) => element('td', {'data-name': t(name), class: className}, content);
  const row = element('tr', {tabindex: 0, 'data-request': entry.id},
    element('td', {class: 'time'}, clock(entry.arrived)),
    cell('request', element('div', {},
      element('div', {class: 'mono'}, entry.endpoint),
      element('div', {class: 'sub mono'}, entry.key ? `${entry.id} · ${entry.key}` : entry.id))),
    cell('instance', entry.instances.join(' → ')),
    cell('tokens_in_out', entry.prompt_tokens > 0 ? `${plain(entry.prompt_tokens)} → ${plain(entry.completion_tokens)}` : '', 'number'),
    cell('phases', phaseBar(entry)),
    cell('duration', milliseconds(entry.total_ms), 'number'),
    cell('result', resultCell(entry)));
  row.addEventListener('click', () => showDetail(entry));
  row.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') showDetail(entry);
  });
  return row;
}

function showDetail(entry) {
  const rows = [
    ['time', new Date(entry.arrived * 1000).toLocaleString(language === 'zh' ? 'zh-CN' : 'en-GB')], ['request', entry.id],
    ['answer_id', entry.answer_id], ['endpoint', entry.endpoint], ['model', entry.model], ['key', entry.key],
    ['streamed', t(entry.streamed ? 'yes' : 'no')], ['choices', entry.choices || ''], ['instance', entry.instances.join(' → ')],
    ['moves', entry.moves || ''], ['status', entry.status || ''], ['finish_reason', entry.finish_reason],
    ['prompt_tokens', entry.prompt_tokens ? `${plain(entry.prompt_tokens)} (${t('cached', plain(entry.cached_tokens))})` : ''],
    ['completion_tokens', entry.prompt_tokens ? plain(entry.completion_tokens) : ''],
    ...PHASES.map((phase) => [phase === 'queue' ? 'queue_phase' : phase, entry[`${phase}_ms`] === null ? '' : milliseconds(entry[`${phase}_ms`])]),
    ['total', milliseconds(entry.total_ms)],
  ];
  $('detail').replaceChildren(...rows.filter(([, value]) => value !== '').flatMap(([name, value]) =>
    [element('dt', {}, t(name)), element('dd', {}, String(value))]));
  $('detail-dialog').showModal();
}

function showRequests({active, recent}) {
  const erroneous = (entry) => entry.status >= 400;
  const shown = filter === 'active' ? active : filter === 'erroneous' ? recent.filter(erroneous) : [...active, ...recent];
  const focused = document.activeElement?.dataset?.request;
  const count = expanded ? shown.length : SHORT_LIST;
  $('requests').tBodies[0].replaceChildren(...shown.slice(0, count).map(requestRow));
  $('requests').hidden = shown.length === 0;
  $('more').hidden = shown.length <= SHORT_LIST;
  $('more').textContent = t(expanded ? 'show_less' : 'show_all', shown.length);
  $('no-requests').hidden = shown.length > 0;
  if (!focused) return;
  for (const row of $('requests').tBodies[0].rows) {
    if (row.dataset.request === focused) row.focus({preventScroll: true});
  }
}
