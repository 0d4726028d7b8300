// Beside the list of sessions: the search in it, and for admins what the running ones take.

import { call, me, node, part, say, size } from './core.js';

const PAUSE_MS = 250;
const LOOK_MS = 10_000;
const { element } = await part('find');
const list = () => document.querySelector('#sessions');
const input = node('input', { type: 'search', class: 'gb-input', placeholder: say('search'), 'aria-label': say('search'), maxlength: '200' });
const none = node('p', { class: 'gb-none', role: 'status' });
element.replaceChildren(node('div', { class: 'gb-find' }, node('div', { class: 'gb-search' }, input), none));

let found = null;
let pause = null;
input.addEventListener('input', () => {
  clearTimeout(pause);
  pause = setTimeout(search, PAUSE_MS);
});
input.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !input.value) return;
  event.stopPropagation();
  input.value = '';
  search();
});

async function search() {
  const text = input.value.trim();
  if (!text) {
    found = null;
    show();
    return;
  }
  try {
    const sessions = await call('GET', ['sessions'], undefined, { search: text });
    if (text !== input.value.trim()) return;
    found = new Set(sessions.map((each) => each.id));
    show();
  } catch (problem) {
    none.textContent = problem.message;
  }
}

// Rows that changed are new ones: what is hidden is hidden again.
function show() {
  let seen = 0;
  for (const row of list()?.querySelectorAll('[data-id]') ?? []) {
    row.hidden = found !== null && !found.has(row.dataset.id);
    if (!row.hidden) seen += 1;
  }
  none.textContent = found !== null && !seen ? say('nothing_found') : '';
  draw();
}

let running = new Map();
let before = new Map();
async function look() {
  if (document.hidden) return;
  try {
    const host = await call('GET', ['admin', 'sandboxes']);
    const now = performance.now();
    running = new Map(host.sandboxes.map((each) => [each.session_id, { ...each, cpus: cpus(each, now) }]));
    before = new Map(host.sandboxes.map((each) => [each.session_id, { cpu: each.cpu_s, at: now }]));
    draw();
  } catch {
    running = new Map();
  }
}

function cpus(each, now) {
  const then = before.get(each.session_id);
  if (!then || each.cpu_s === null || then.cpu === null) return null;
  return Math.max(0, ((each.cpu_s - then.cpu) * 1000) / (now - then.at));
}

function draw() {
  for (const row of list()?.querySelectorAll('[data-id]') ?? []) {
    const takes = running.get(row.dataset.id);
    let shown = row.querySelector('.gb-takes');
    if (!takes || takes.memory_bytes === null) {
      shown?.remove();
      continue;
    }
    if (!shown) {
      shown = node('small', { class: 'gb-takes' });
      row.append(shown);
    }
    const words = [size(takes.memory_bytes)];
    if (takes.cpus !== null) words.unshift(say('cpus', { count: takes.cpus.toFixed(takes.cpus < 9.95 ? 1 : 0) }));
    const text = words.join(' · ');
    if (shown.textContent !== text) shown.textContent = text;
  }
}

window.addEventListener('glovebox:listed', show);
show();
const who = await me().catch(() => null);
if (who?.role === 'admin') {
  look();
  setInterval(look, LOOK_MS);
  document.addEventListener('visibilitychange', look);
}
