// What stands above the conversation: how the open session's sandbox is, and what can be done to it.

import { button, call, confirming, dialog, doing, lookAt, me, node, openSession, part, say, saidWell, sign, whenSession } from './core.js';
import { settings } from './settings.js';

const BUSY_MS = 1500;
const IDLE_MS = 15_000;
const { element } = await part('bar');
const chip = node('span', { class: 'gb-how', role: 'status' });
const menu = node('div', { class: 'gb-menu', popover: 'auto', id: 'gb-session-menu' });
const more = node('button', { type: 'button', class: 'gb-glyph', popovertarget: 'gb-session-menu', 'aria-label': say('session_menu'), title: say('session_menu') },
  node('span', { 'aria-hidden': 'true' }, '⋯'));
const bar = node('div', { class: 'gb-topbar', hidden: true }, chip, more, menu);
element.replaceChildren(bar);

let about = null;
let asking = 0;
let timer = null;
let was = '';

async function look() {
  clearTimeout(timer);
  const session = openSession();
  const mine = ++asking;
  if (!session) {
    about = null;
    bar.hidden = true;
    return;
  }
  if (!document.hidden) {
    try {
      const found = await lookAt(session);
      if (mine !== asking) return;
      about = found;
      draw();
    } catch {
      if (mine !== asking) return;
      bar.hidden = true;
    }
  }
  const moves = about && ['starting', 'busy', 'ready'].includes(about.state);
  timer = setTimeout(look, moves ? BUSY_MS : IDLE_MS);
}

function draw() {
  bar.hidden = false;
  // Waking up is said until something runs: with what was kept, or what was lost.
  const state = about.queue_place ? 'queued' : about.state;
  const text = say(`state_${state}`, { place: about.queue_place });
  chip.dataset.state = about.state;
  chip.title = say(`kept_${state}`, { place: about.queue_place });
  if (text !== was) chip.textContent = was = text;
}

menu.addEventListener('beforetoggle', (event) => { if (event.newState === 'open') fill(); });

async function fill() {
  const told = node('div', {});
  const session = openSession();
  const act = (name, said) => (event) => doing(event.currentTarget, told, async () => {
    await call('POST', ['sessions', session, name]);
    saidWell(told, say(said));
    look();
  });
  const restart = (event) => event.currentTarget.after(confirming(say('restart_asks'), say('restart'), async () => {
    await call('POST', ['sessions', session, 'restart']);
    saidWell(told, say('restarted'));
    look();
  }));
  const item = (label, what, hint) => button([label, node('small', {}, hint)], what, { class: 'gb-menu-item' });
  const head = node('p', { class: 'gb-menu-head' }, chip.title);
  if (about?.shared_by) {
    menu.replaceChildren(head, node('p', { class: 'gb-menu-head' }, say('shared_by', { name: about.shared_by })));
    return;
  }
  const team = (await me().catch(() => null))?.mode !== 'one';
  menu.replaceChildren(head,
    item(say('interrupt'), act('interrupt', 'interrupted'), say('interrupt_hint')),
    item(say('restart'), restart, say('restart_hint')),
    item(say('sleep'), act('sleep', 'sleeps'), say('sleep_hint')),
    team && item(say('share'), () => { menu.hidePopover(); share(session); }, say('share_hint')) || '',
    item(say('session_settings'), () => { menu.hidePopover(); settings('session'); }, say('session_settings_hint')),
    told);
}

async function share(session) {
  const told = node('div', {});
  const readers = node('ul', { class: 'gb-rows' });
  const name = node('input', { class: 'gb-input', id: 'gb-share-name', maxlength: '200', required: true, autocomplete: 'off' });
  const give = node('button', { class: 'gb-btn gb-first' }, say('share'));
  const form = node('form', { class: 'gb-inline' }, name, give);
  const list = async () => {
    const found = await call('GET', ['sessions', session, 'shares']);
    readers.replaceChildren(...found.map((each) => node('li', {}, node('span', {}, each.name), sign('✕', say('unshare', { name: each.name }),
      (event) => doing(event.currentTarget, told, async () => {
        await call('DELETE', ['sessions', session, 'shares', each.name]);
        await list();
      })))));
    if (!found.length) readers.append(node('li', { class: 'gb-none' }, say('nobody_reads')));
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(give, told, async () => {
      await call('PUT', ['sessions', session, 'shares', name.value.trim()]);
      name.value = '';
      await list();
    });
  });
  dialog(say('share_title'), node('div', { class: 'gb-page' }, node('p', {}, say('share_about')),
    node('label', { for: 'gb-share-name' }, say('share_name')), form, told, node('h3', {}, say('readers')), readers), { id: 'gb-share' });
  name.focus();
  doing(null, told, list);
}

whenSession(look);
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
// A turn that begins changes the state long before it ends.
window.addEventListener('glovebox:sent', () => setTimeout(look, 300));
look();
