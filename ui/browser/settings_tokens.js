// Tokens for scripts, and keys of one's own for providers of models.

import { button, call, confirming, doing, me, moment, node, say } from './core.js';

export async function tokens() {
  const who = await me();
  const box = node('div', {});
  if (who.mode === 'one') box.append(node('h3', {}, say('tokens')), node('p', {}, say('tokens_one')));
  else box.append(await ownTokens());
  box.append(await ownKeys());
  return box;
}

async function ownTokens() {
  const told = node('div', {});
  const list = node('ul', { class: 'gb-rows' });
  const name = node('input', { class: 'gb-input', id: 'gb-token-name', required: true, maxlength: '100', autocomplete: 'off' });
  const make = node('button', { class: 'gb-btn gb-first' }, say('token_make'));
  const form = node('form', { class: 'gb-inline' }, name, make);
  const fill = async () => {
    const found = await call('GET', ['tokens']);
    list.replaceChildren(...found.map((each) => tokenRow(each, () => { told.replaceChildren(); return fill(); })));
    if (!found.length) list.append(node('li', { class: 'gb-none' }, say('no_tokens')));
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(make, told, async () => {
      const made = await call('POST', ['tokens'], { name: name.value.trim() });
      name.value = '';
      await fill();
      told.replaceChildren(secret(made.token));
    });
  });
  await fill();
  return node('section', {}, node('h3', {}, say('tokens')), node('p', { class: 'gb-explains' }, say('tokens_hint')),
    node('label', { for: 'gb-token-name' }, say('token_name')), form, told, list);
}

function tokenRow(each, fill) {
  const used = each.used_at ? say('token_used', { when: moment(each.used_at) }) : say('token_unused');
  const row = node('li', {}, node('span', {}, each.name, node('small', {}, `${say('made', { when: moment(each.created_at) })} · ${used}`)));
  row.append(button(say('revoke'), () => row.append(confirming(say('revoke_asks'), say('revoke'), async () => {
    await call('DELETE', ['tokens', each.id]);
    await fill();
  })), { class: 'gb-link', 'aria-label': `${say('revoke')} ${each.name}` }));
  return row;
}

function secret(token) {
  const shown = node('input', { class: 'gb-input gb-mono', readonly: true, value: token, 'aria-label': say('token_new') });
  const copy = button(say('copy'), async () => {
    shown.select();
    await navigator.clipboard?.writeText(token).catch(() => {});
    copy.textContent = say('copied');
  }, { class: 'gb-btn' });
  return node('div', { class: 'gb-secret', role: 'status' }, node('p', {}, say('token_once')), node('div', { class: 'gb-inline' }, shown, copy));
}

async function ownKeys() {
  const told = node('div', {});
  const list = node('ul', { class: 'gb-rows' });
  const provider = node('input', { class: 'gb-input', id: 'gb-key-provider', required: true, maxlength: '100', list: 'gb-providers', autocomplete: 'off' });
  const key = node('input', { class: 'gb-input', id: 'gb-key', required: true, type: 'password', maxlength: '1000', autocomplete: 'off' });
  const save = node('button', { class: 'gb-btn gb-first' }, say('key_save'));
  const known = node('datalist', { id: 'gb-providers' });
  const form = node('form', { class: 'gb-pair' }, node('label', { for: 'gb-key-provider' }, say('provider')), provider, known,
    node('label', { for: 'gb-key' }, say('key')), key, save);
  const fill = async () => {
    const [found, models] = await Promise.all([call('GET', ['me', 'keys']), call('GET', ['models'])]);
    known.replaceChildren(...[...new Set(models.map((each) => each.provider))].map((each) => node('option', { value: each })));
    list.replaceChildren(...found.map((each) => node('li', {}, node('span', {}, each.provider, node('small', {}, `${each.hint} · ${say('made', { when: moment(each.created_at) })}`)),
      button(say('forget'), (event) => doing(event.currentTarget, told, async () => {
        await call('DELETE', ['me', 'keys', each.provider]);
        await fill();
      }), { class: 'gb-link', 'aria-label': `${say('forget')} ${each.provider}` }))));
    if (!found.length) list.append(node('li', { class: 'gb-none' }, say('no_keys')));
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(save, told, async () => {
      await call('PUT', ['me', 'keys', provider.value.trim()], { key: key.value });
      key.value = provider.value = '';
      await fill();
    });
  });
  await doing(null, told, fill);
  return node('section', {}, node('h3', {}, say('keys')), node('p', { class: 'gb-explains' }, say('keys_hint')), form, told, list);
}
