// A login that ended in the middle: whoever sits there logs in again, right here, and nothing that was typed is lost.

import { call, dialog, doing, glovebox, me, node, openSession, part, problemOf, say } from './core.js';
import { keep } from './draft.js';

let shown = null;
let known = null;

// Log in by the login page's own form. An answer that leads on is a login; the page that it leads to is not needed.
export async function logIn(name, password) {
  const answer = await glovebox.plainFetch(`${glovebox.root}login`, {
    method: 'POST', redirect: 'manual', body: new URLSearchParams({ name, password }),
  });
  if (answer.type === 'opaqueredirect') return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  throw problemOf(answer.status === 401 ? 400 : answer.status, { detail: page.querySelector('[role=alert]')?.textContent });
}

async function ended() {
  if (shown) return;
  const told = node('div', {});
  const name = node('input', { class: 'gb-input', id: 'gb-again-name', required: true, maxlength: '200', autocomplete: 'username', value: known?.name ?? '' });
  const password = node('input', { class: 'gb-input', id: 'gb-again-password', type: 'password', required: true, maxlength: '200', autocomplete: 'current-password' });
  const enter = node('button', { class: 'gb-btn gb-first' }, say('log_in'));
  const elsewhere = node('a', { href: `${glovebox.root}login?why=ended${openSession() ? `&session=${encodeURIComponent(openSession())}` : ''}`, onclick: keep }, say('login_page'));
  const form = node('form', { class: 'gb-form' }, node('p', { role: 'alert' }, say('login_ended_kept')),
    node('label', { for: name.id }, say('name')), name, node('label', { for: password.id }, say('password')), password,
    node('footer', {}, enter, elsewhere, told));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(enter, told, async () => {
      await logIn(name.value, password.value);
      await goOn();
    });
  });
  shown = dialog(say('login_ended'), node('div', { class: 'gb-page' }, form), { id: 'gb-login-again' });
  shown.addEventListener('close', () => { shown = null; });
  (known ? password : name).focus();
}

async function goOn() {
  const now = await call('GET', ['me']);
  if (known && now.id !== known.id) {
    // Somebody else: nothing of who was here before may stay.
    location.assign(glovebox.root);
    return;
  }
  shown?.close();
  const session = openSession();
  // Streams ended with the login: the session is opened again, as if it had been chosen.
  if (session) (await part('sessions')).trigger('choose', { id: session });
}

window.addEventListener('glovebox:ended', ended);
me().then((who) => { known = who; }).catch(() => {});
