// The settings: what a person likes, what the open session does, tokens and keys, the account.

import { call, dialog, glovebox, node, openSession, say, size } from './core.js';
import { account } from './settings_account.js';
import { general } from './settings_general.js';
import { ofSession } from './settings_session.js';
import { tokens } from './settings_tokens.js';

let shown = null;

export function settings(first = 'general') {
  shown?.close();
  const pages = [['general', general], ...(openSession() ? [['session', ofSession]] : []), ['tokens', tokens], ['account', account]];
  const panel = node('div', { class: 'gb-page', role: 'tabpanel', id: 'gb-settings-page', tabindex: '0' });
  const tabs = node('div', { class: 'gb-tabs', role: 'tablist', 'aria-label': say('settings') });
  const choose = async (name, make) => {
    for (const tab of tabs.children) {
      const chosen = tab.id === `gb-tab-${name}`;
      tab.setAttribute('aria-selected', String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    panel.setAttribute('aria-labelledby', `gb-tab-${name}`);
    panel.replaceChildren(node('p', { class: 'gb-none' }, say('loading')));
    let content;
    try {
      content = await make();
    } catch (problem) {
      content = node('p', { class: 'gb-remark gb-bad', role: 'alert' }, problem.message);
    }
    if (tabs.querySelector('[aria-selected=true]')?.id === `gb-tab-${name}`) panel.replaceChildren(content);
  };
  for (const [name, make] of pages) {
    tabs.append(node('button', {
      type: 'button', role: 'tab', id: `gb-tab-${name}`, 'aria-controls': 'gb-settings-page', onclick: () => choose(name, make),
    }, say(`tab_${name}`)));
  }
  tabs.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = [...tabs.children];
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.focus();
    next.click();
  });
  shown = dialog(say('settings'), node('div', { class: 'gb-settings' }, tabs, panel), { id: 'gb-settings' });
  const [name, make] = pages.find(([each]) => each === first) ?? pages[0];
  tabs.querySelector(`#gb-tab-${name}`).focus();
  choose(name, make);
}

// A field with its label and a line about it.
export function field(id, label, input, hint) {
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return node('div', { class: 'gb-labelled' }, node('label', { for: id }, label), input, hint && node('p', { class: 'gb-explains', id: `${id}-hint` }, hint));
}

export function select(choices, chosen) {
  return node('select', { class: 'gb-input' }, choices.map(([value, label]) => node('option', { value, selected: value === (chosen ?? '') }, label)));
}

export async function modelChoices() {
  const models = await call('GET', ['models']);
  const standard = models.find((each) => each.default && each.available)?.id;
  const usable = models.filter((each) => each.available).map((each) => [each.id, each.id]);
  return [['', standard ? say('model_default', { name: standard }) : say('model_any')], ...usable];
}

export async function profileChoices() {
  const profiles = await call('GET', ['profiles']);
  const standard = profiles.find((each) => each.default)?.name;
  const described = (each) => (each.limits ? `${each.name} (${describe(each.limits)})` : each.name);
  return [['', standard ? say('model_default', { name: standard }) : say('model_any')], ...profiles.map((each) => [each.name, described(each)])];
}

function describe({ cpus, memory_mb: memory, disk_mb: disk }) {
  return [cpus && say('cpus', { count: cpus }), memory && size(memory * 1024 * 1024), disk && `${say('disk')} ${size(disk * 1024 * 1024)}`].filter(Boolean).join(', ');
}

export function number(value) {
  return value === null || value === undefined ? '–' : value.toLocaleString(glovebox.tag);
}

export function money(value) {
  return value === null || value === undefined ? '–' : value.toLocaleString(glovebox.tag, { maximumFractionDigits: 4 });
}

// A meter with its words; without a limit only the words.
export function measure(label, used, most, words) {
  const said = most ? say('of', { used: words(used), most: words(most) }) : words(used);
  const bar = most ? node('meter', { min: 0, max: most, high: most * 0.9, value: Math.min(used ?? 0, most), 'aria-label': label }) : null;
  return node('div', { class: 'gb-measure' }, node('span', {}, label), node('span', {}, said), bar);
}
