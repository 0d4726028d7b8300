// Settings of the open session: its model, whether its code is asked for, what its model is told, what it took.

import { call, doing, node, openSession, part, say, saidWell, size } from './core.js';
import { field, measure, modelChoices, money, number, select } from './settings.js';

export async function ofSession() {
  const session = openSession();
  const [about, models] = await Promise.all([call('GET', ['sessions', session]), modelChoices()]);
  const model = select(models, about.model);
  const approval = node('fieldset', { class: 'gb-choices' }, node('legend', {}, say('approval')));
  for (const each of ['auto', 'ask']) {
    const radio = node('input', { type: 'radio', name: 'gb-approval', value: each, checked: (about.approval ?? 'auto') === each, id: `gb-approval-${each}` });
    approval.append(node('div', { class: 'gb-check' }, radio, node('label', { for: radio.id }, say(`approval_${each}`))));
  }
  const instructions = node('textarea', { class: 'gb-input', rows: '4', maxlength: '8000', value: about.instructions ?? '' });
  const save = node('button', { class: 'gb-btn gb-first' }, say('save'));
  const told = node('div', {});
  const usage = about.usage ?? {};
  const form = node('form', { class: 'gb-form' },
    node('p', { class: 'gb-explains' }, say('session_is', { name: about.name, profile: about.profile })),
    field('gb-session-model', say('session_model'), model),
    approval,
    field('gb-session-instructions', say('session_instructions'), instructions, say('session_instructions_hint')),
    node('footer', {}, about.shared_by ? node('p', {}, say('shared_by', { name: about.shared_by })) : save, told),
    node('h3', {}, say('usage')),
    measure(say('tokens_in'), usage.tokens_in, null, number),
    measure(say('tokens_out'), usage.tokens_out, null, number),
    measure(say('cost'), usage.cost, null, money),
    measure(say('window'), usage.window_tokens, usage.window, number),
    measure(say('disk'), usage.disk_bytes, (about.limits?.disk_mb ?? 0) * 1024 * 1024, size));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(save, told, async () => {
      const chosen = approval.querySelector(':checked')?.value ?? 'auto';
      await call('PATCH', ['sessions', session], { model: model.value || null, approval: chosen, instructions: instructions.value });
      saidWell(told, say('saved'));
      // What is picked beside the message box is to be the same: the session is opened again.
      (await part('sessions')).trigger('choose', { id: session });
    });
  });
  return form;
}
