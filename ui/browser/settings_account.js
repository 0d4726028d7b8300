// The account: what it used of what it may, and its password.

import { call, doing, me, node, say, saidWell, size } from './core.js';
import { logIn } from './login_again.js';
import { field, measure, money, number } from './settings.js';

const SHORTEST = 10;

export async function account() {
  const [who, usage] = await Promise.all([me(), call('GET', ['me', 'usage'])]);
  const box = node('div', {}, node('h3', {}, say('usage')),
    measure(say('tokens_today'), usage.tokens_today, usage.tokens_per_day, number),
    measure(say('cost_today'), usage.cost_today, usage.cost_per_day, money),
    measure(say('disk'), usage.disk_bytes, usage.disk_mb === null ? null : usage.disk_mb * 1024 * 1024, size));
  if (who.mode !== 'one') box.append(password(who));
  return box;
}

function password(who) {
  const old = node('input', { class: 'gb-input', type: 'password', required: true, autocomplete: 'current-password', maxlength: '200' });
  const wanted = node('input', { class: 'gb-input', type: 'password', required: true, autocomplete: 'new-password', minlength: String(SHORTEST), maxlength: '200' });
  const again = node('input', { class: 'gb-input', type: 'password', required: true, autocomplete: 'new-password', maxlength: '200' });
  const save = node('button', { class: 'gb-btn gb-first' }, say('password_change'));
  const told = node('div', {});
  const form = node('form', { class: 'gb-form' }, node('h3', {}, say('password')),
    node('input', { type: 'text', autocomplete: 'username', value: who.name, hidden: true, 'aria-hidden': 'true' }),
    field('gb-old', say('password_old'), old), field('gb-new', say('password_new'), wanted, say('password_hint', { count: SHORTEST })),
    field('gb-again', say('password_again'), again), node('footer', {}, save, told));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    again.setCustomValidity(again.value === wanted.value ? '' : say('password_differs'));
    if (!form.reportValidity()) return;
    doing(save, told, async () => {
      await call('PUT', ['me', 'password'], { old: old.value, new: wanted.value });
      // All logins ended with the old password; this one begins anew.
      await logIn(who.name, wanted.value);
      form.reset();
      saidWell(told, say('password_changed'));
    });
  });
  again.addEventListener('input', () => again.setCustomValidity(''));
  return form;
}

