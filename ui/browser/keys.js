// Keys: what each does, and the sheet that tells.

import { dialog, node, say } from './core.js';
import { settings } from './settings.js';

const OFF = 'glovebox-no-single-key';
const press = (where) => document.querySelector(where)?.click();
const KEYS = [
  ['help', [['?'], ['Ctrl', '/']]],
  ['new', [['Ctrl', 'Shift', 'O']]],
  ['stop', [['Esc']]],
  ['write', [['Shift', 'Esc']]],
  ['find', [['Ctrl', 'Shift', 'F']]],
  ['settings', [['Ctrl', ',']]],
  ['send', [['Enter']]],
  ['line', [['Shift', 'Enter']]],
];

export function help() {
  if (document.querySelector('#gb-help')) return;
  const rows = KEYS.map(([name, ways]) => node('tr', {}, node('th', { scope: 'row' }, say(`key_${name}`)),
    node('td', {}, ways.map((keys, at) => [at ? ` ${say('or')} ` : '', ...keys.map((key) => node('kbd', {}, key))]))));
  const single = node('input', { type: 'checkbox', id: 'gb-single', checked: !localStorage.getItem(OFF) });
  single.addEventListener('change', () => { if (single.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, '1'); });
  dialog(say('keys_title'), node('div', { class: 'gb-page' }, node('table', { class: 'gb-keys' }, node('tbody', {}, rows)),
    node('div', { class: 'gb-check' }, single, node('label', { for: 'gb-single' }, say('single_key')))), { id: 'gb-help' });
}

const types = (target) => target.closest?.('input, textarea, select, [contenteditable=true]');

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const inDialog = document.querySelector('dialog[open], :popover-open');
  const ctrl = event.ctrlKey || event.metaKey;
  const act = (what) => { event.preventDefault(); what(); };
  if (ctrl && !event.shiftKey && event.key === '/') act(help);
  else if (inDialog) return;
  else if (ctrl && event.shiftKey && event.code === 'KeyO') act(() => press('#new-session'));
  else if (ctrl && event.shiftKey && event.code === 'KeyF') act(find);
  else if (ctrl && !event.shiftKey && event.key === ',') act(() => settings());
  else if (ctrl || event.altKey) return;
  else if (event.key === 'Escape' && event.shiftKey) act(() => document.querySelector('#prompt textarea')?.focus());
  else if (event.key === 'Escape') press('#stop:not(.hidden)');
  else if (event.key === '?' && !types(event.target) && !localStorage.getItem(OFF)) act(help);
});

function find() {
  if (!document.querySelector('#sessions-panel.open')) press('#sessions-panel .toggle-button');
  document.querySelector('#find input')?.focus();
}

