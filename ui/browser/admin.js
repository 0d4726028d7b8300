// The page for admins: who runs what on this host, and everybody's accounts. While nobody looks, nothing is asked.

import { button, call, confirming, doing, glovebox, me, moment, node, say, saidWell, sign, size } from './core.js';

const LOOK_MS = 3000;
const main = document.querySelector('main');
const sandboxes = node('section', { 'aria-labelledby': 'gb-host' });
const accounts = node('section', { 'aria-labelledby': 'gb-people' });
main.append(sandboxes, accounts);

// ---- the host
const told = node('div', {});
const cards = node('div', { class: 'gb-cards' });
const rows = node('tbody', {});
const headings = ['session', 'owner', 'state', 'cpu', 'memory', 'disk', 'profile'].map((each) => node('th', { scope: 'col' }, say(`col_${each}`)));
const table = node('div', { class: 'gb-scrolls', tabindex: '0', role: 'region', 'aria-label': say('running') },
  node('table', {}, node('thead', {}, node('tr', {}, headings, node('td', {}))), rows));
const nobody = node('p', { class: 'gb-none' }, say('nothing_runs'));
sandboxes.append(node('h2', { id: 'gb-host' }, say('running')), cards, told, table, nobody);

let before = new Map();
let timer = null;

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    show(await call('GET', ['admin', 'sandboxes']));
    told.replaceChildren();
  } catch (problem) {
    told.replaceChildren(node('p', { class: 'gb-remark gb-bad', role: 'alert' }, problem.message));
  }
  timer = setTimeout(look, LOOK_MS);
}

function show(host) {
  const now = performance.now();
  cards.replaceChildren(
    card(say('promised_memory'), host.promised.memory_mb * 1048576, host.capacity.memory_mb * 1048576, size),
    card(say('promised_cpus'), host.promised.cpus, host.capacity.cpus, (count) => count.toLocaleString(glovebox.tag)),
    card(say('waiting'), host.waiting, null, String),
    card(say('warm'), Object.values(host.warm).reduce((sum, count) => sum + count, 0), null, String));
  const there = new Map([...rows.children].map((row) => [row.dataset.id, row]));
  for (const each of host.sandboxes) {
    const row = there.get(each.session_id) ?? made(each);
    there.delete(each.session_id);
    fill(row, each, now);
    if (!row.isConnected) rows.append(row);
  }
  for (const row of there.values()) row.remove();
  table.hidden = !host.sandboxes.length;
  nobody.hidden = Boolean(host.sandboxes.length);
  before = new Map(host.sandboxes.map((each) => [each.session_id, { cpu: each.cpu_s, at: now }]));
}

function card(label, used, most, words) {
  return node('div', { class: 'gb-card' }, node('span', {}, label), node('b', {}, most ? say('of', { used: words(used), most: words(most) }) : words(used)),
    most ? node('meter', { min: 0, max: most, high: most * 0.9, value: Math.min(used, most), 'aria-label': label }) : null);
}

// A row stays as it is while its figures change, so that a question in it is not swept away.
function made(each) {
  const row = node('tr', { 'data-id': each.session_id });
  for (let at = 0; at < headings.length; at += 1) row.append(at ? node('td', {}) : node('th', { scope: 'row' }));
  const last = node('td', { class: 'gb-last' });
  const stop = button(say('stop'), () => {
    if (last.querySelector('.gb-asks')) return;
    last.append(confirming(say('stop_asks'), say('stop'), async () => {
      await call('POST', ['admin', 'sandboxes', each.session_id, 'stop']);
      look();
    }));
  }, { class: 'gb-btn', 'aria-label': `${say('stop')} ${each.name}` });
  last.append(stop);
  row.append(last);
  return row;
}

function fill(row, each, now) {
  const then = before.get(each.session_id);
  const cpus = then && each.cpu_s !== null && then.cpu !== null ? Math.max(0, ((each.cpu_s - then.cpu) * 1000) / (now - then.at)) : null;
  const state = each.queue_place ? say('state_queued', { place: each.queue_place }) : say(`state_${each.state}`);
  const runs = each.cell_runs_s === null ? '' : ` · ${say('runs_for', { seconds: Math.round(each.cell_runs_s) })}`;
  const told = [each.name, each.owner, state + runs, cpus === null ? '–' : cpus.toFixed(2), size(each.memory_bytes), size(each.disk_bytes), each.profile];
  told.forEach((text, at) => { if (row.children[at].textContent !== text) row.children[at].textContent = text; });
}

document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
look();

// ---- the accounts
const who = await me();
if (who.mode === 'one') accounts.append(node('h2', { id: 'gb-people' }, say('accounts')), node('p', {}, say('accounts_one')));
else showAccounts();

function showAccounts() {
  const said = node('div', {});
  const people = node('tbody', {});
  const fillPeople = async () => people.replaceChildren(...(await call('GET', ['users'])).map((user) => accountRow(user, said, fillPeople)));
  const name = node('input', { class: 'gb-input', id: 'gb-user', required: true, maxlength: '200', autocomplete: 'off' });
  const password = node('input', { class: 'gb-input', id: 'gb-user-password', type: 'password', minlength: '10', maxlength: '200', autocomplete: 'new-password' });
  const role = roles('member');
  role.id = 'gb-user-role';
  const add = node('button', { class: 'gb-btn gb-first' }, say('account_add'));
  const form = node('form', { class: 'gb-pair' }, node('label', { for: name.id }, say('name')), name,
    node('label', { for: role.id }, say('role')), role,
    node('label', { for: password.id }, say('password')), password, node('p', { class: 'gb-explains' }, say('account_hint')), add);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(add, said, async () => {
      await call('POST', ['users'], { name: name.value.trim(), role: role.value, ...(password.value ? { password: password.value } : {}) });
      const added = name.value.trim();
      form.reset();
      await fillPeople();
      saidWell(said, say('account_added', { name: added }));
    });
  });
  const columns = ['name', 'role', 'password', 'since'].map((each) => node('th', { scope: 'col' }, say(`col_${each}`)));
  accounts.append(node('h2', { id: 'gb-people' }, say('accounts')), said,
    node('div', { class: 'gb-scrolls', tabindex: '0', role: 'region', 'aria-label': say('accounts') },
      node('table', {}, node('thead', {}, node('tr', {}, columns, node('td', {}))), people)),
    node('h3', {}, say('account_new')), form);
  doing(null, said, fillPeople);
}

function roles(chosen) {
  return node('select', { class: 'gb-input' }, ['member', 'admin'].map((each) => node('option', { value: each, selected: each === chosen }, say(`role_${each}`))));
}

function accountRow(user, said, again) {
  const change = (what, done) => (event) => doing(event?.currentTarget, said, async () => {
    try {
      await call('PATCH', ['users', user.name], what);
      saidWell(said, say(done, { name: user.name }));
    } finally {
      await again();
    }
  });
  const role = roles(user.role);
  role.setAttribute('aria-label', say('role_of', { name: user.name }));
  role.addEventListener('change', () => change({ role: role.value }, 'account_changed')());
  const last = node('td', { class: 'gb-last' });
  const shut = button(user.disabled ? say('enable') : say('disable'), change({ disabled: !user.disabled }, user.disabled ? 'account_enabled' : 'account_disabled'),
    { class: 'gb-btn', 'aria-label': `${user.disabled ? say('enable') : say('disable')} ${user.name}` });
  const renew = button(say('password_set'), () => { if (!last.querySelector('form')) last.append(newPassword(user, said, again)); },
    { class: 'gb-btn', 'aria-label': `${say('password_set')} ${user.name}` });
  last.append(renew, shut);
  return node('tr', { class: user.disabled ? 'gb-off' : '' }, node('th', { scope: 'row' }, user.name, user.disabled ? node('small', {}, ` ${say('is_disabled')}`) : ''),
    node('td', {}, role), node('td', {}, user.password ? say('yes') : say('no')), node('td', {}, moment(user.created_at)), last);
}

function newPassword(user, said, again) {
  const wanted = node('input', { class: 'gb-input', type: 'password', required: true, minlength: '10', maxlength: '200', autocomplete: 'new-password', 'aria-label': say('password_for', { name: user.name }) });
  const form = node('form', { class: 'gb-inline' }, wanted, node('button', { class: 'gb-btn gb-first' }, say('save')), sign('✕', say('cancel'), () => form.remove()));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(null, said, async () => {
      await call('PATCH', ['users', user.name], { password: wanted.value });
      await again();
      saidWell(said, say('account_password', { name: user.name }));
    });
  });
  queueMicrotask(() => wanted.focus());
  return form;
}
