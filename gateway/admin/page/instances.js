// The table of instances and what an operator may do with them.
function meter(share, text, softShare = 0) {
  const fill = element('span', {class: 'fill'});
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  const soft = element('span', {class: 'fill soft'});
  soft.style.width = `${Math.min(100, 100 * softShare)}%`;
  return element('div', {class: 'meter'}, element('span', {class: 'track'}, fill, softShare > 0 ? soft : null), text);
}

const STATE_COLORS = {
  serving: 'good', loading: 'warn', restarting: 'warn', draining: 'warn', drained: 'dim', removing: 'dim', unreachable: 'bad',
};

// What an operator has decided comes before what the instance says.
function stateOf(instance) {
  const decided = instance.admin_state ?? 'enabled';
  return decided === 'enabled' ? instance.state : decided;
}

function stateCell(instance) {
  const state = stateOf(instance);
  const cell = element('div', {}, element('span', {class: `pill ${STATE_COLORS[state] ?? 'dim'}`}, t(state)));
  if (instance.breaker !== 'closed') {
    cell.append(element('div', {class: `sub ${instance.breaker === 'open' ? 'bad' : 'warn'}`}, t(`breaker_${instance.breaker}`)));
  }
  if (instance.total_weight_bytes > 0) {
    cell.append(meter(instance.loaded_weight_bytes / instance.total_weight_bytes,
                      percent(instance.loaded_weight_bytes / instance.total_weight_bytes)));
  }
  return cell;
}

function actions(instance) {
  const button = (action, enabled = true) => {
    const node = element('button', {type: 'button', 'data-action': action, 'data-instance': instance.name}, t(action));
    node.disabled = !enabled;
    node.addEventListener('click', () => act(instance, action));
    return node;
  };
  const decided = instance.admin_state ?? 'enabled';
  if (decided === 'removing') return [];
  if (decided === 'enabled') return [button('drain')];
  return [button('enable'), button('remove')];
}

async function act(instance, action) {
  if (action !== 'enable') {
    const sure = await confirmed(t(`${action}_title`, instance.name), t(`${action}_text`), t(action), action === 'remove');
    if (!sure) return;
  }
  const path = `/instances/${encodeURIComponent(instance.name)}`;
  try {
    await (action === 'remove' ? call('DELETE', path) : call('POST', `${path}/${action}`, {}));
    notice(null);
  } catch (error) {
    notice(t('failure', error.message));
  }
  refreshOverview();
}

function confirmed(title, text, ok, danger) {
  const dialog = $('confirm-dialog');
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('confirm-ok').textContent = ok;
  $('confirm-ok').classList.toggle('danger', danger);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'ok'), {once: true});
  });
}

function openAddDialog() {
  $('add-input').value = '';
  $('add-error').hidden = true;
  $('add-dialog').returnValue = '';
  $('add-dialog').showModal();
}

// Closes once the gateway has taken the address.
async function submitAdd(event) {
  event.preventDefault();
  try {
    await call('POST', '/instances', {address: $('add-input').value.trim()});
    $('add-dialog').close('ok');
    refreshOverview();
  } catch (error) {
    $('add-error').textContent = error.message;
    $('add-error').hidden = false;
  }
}

function instanceRow(instance) {
  const cell = (name, content, className) => element('td', {'data-name': t(name), class: className}, content);
  const free = instance.kv_blocks_total - instance.kv_blocks_used;
  const total = Math.max(1, instance.kv_blocks_total);
  const hits = instance.prefix_queried_tokens > 0 ? instance.prefix_hit_tokens / instance.prefix_queried_tokens : null;
  return element('tr', {'data-instance': instance.name},
    element('td', {}, element('div', {class: 'strong'}, instance.name), element('div', {class: 'sub mono'}, instance.address)),
    cell('state', stateCell(instance)),
    cell('requests', element('div', {},
      meter(instance.running / Math.max(1, instance.limit), `${instance.running} / ${instance.waiting}`),
      element('div', {class: 'sub'}, `${t('of', instance.limit)} · ${t('from_here', instance.in_flight)}`))),
    cell('kv_cache', instance.kv_blocks_total > 0
      ? meter(instance.kv_blocks_used / total, percent(instance.kv_blocks_used / total), Math.min(instance.kv_blocks_cached, free) / total)
      : '–'),
    cell('tokens_per_second', short(instance.tokens_per_second), 'number'),
    cell('cache_hits', hits === null ? '–' : percent(hits), 'number'),
    cell('fingerprint', element('span', {class: 'mono dim', title: instance.fingerprint}, instance.fingerprint.slice(0, 8) || '–')),
    element('td', {class: 'actions'}, ...actions(instance)));
}

// Rows are made anew; the button that has the focus keeps it.
function showInstances(instances) {
  const focused = document.activeElement?.dataset ?? {};
  $('instances').tBodies[0].replaceChildren(...instances.map(instanceRow));
  $('instances').hidden = instances.length === 0;
  $('no-instances').hidden = instances.length > 0;
  if (!focused.action) return;
  for (const button of document.querySelectorAll('#instances button')) {
    if (button.dataset.instance === focused.instance && button.dataset.action === focused.action) button.focus();
  }
}
