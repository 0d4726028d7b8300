// Settings that are a person's: language, theme, model, what every model is told.

import { call, doing, glovebox, node, say, saidWell } from './core.js';
import { keep } from './draft.js';
import { field, modelChoices, profileChoices, select } from './settings.js';

const MAX_INSTRUCTIONS = 8000;

export async function general() {
  const [mine, models, profiles] = await Promise.all([call('GET', ['me', 'settings']), modelChoices(), profileChoices()]);
  const languages = Object.entries(glovebox.languages);
  const language = select([['', say('language_browser')], ...languages], mine.language);
  const theme = select(['system', 'light', 'dark'].map((each) => [each, say(`theme_${each}`)]), mine.theme ?? 'system');
  const model = select(models, mine.default_model);
  const profile = select(profiles, mine.default_profile);
  const fold = node('input', { type: 'checkbox', checked: Boolean(mine.fold_code), id: 'gb-fold' });
  const instructions = node('textarea', { class: 'gb-input', rows: '5', maxlength: String(MAX_INSTRUCTIONS), value: mine.instructions ?? '' });
  const save = node('button', { class: 'gb-btn gb-first' }, say('save'));
  const told = node('div', {});
  const form = node('form', { class: 'gb-form' },
    field('gb-language', say('language'), language),
    field('gb-theme', say('theme'), theme),
    field('gb-model', say('default_model'), model),
    field('gb-profile', say('default_profile'), profile),
    node('div', { class: 'gb-check' }, fold, node('label', { for: 'gb-fold' }, say('fold_code'))),
    field('gb-instructions', say('my_instructions'), instructions, say('my_instructions_hint')),
    node('footer', {}, save, told));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    doing(save, told, async () => {
      const wanted = {
        language: language.value || null, theme: theme.value, default_model: model.value || null, fold_code: fold.checked,
        default_profile: profile.value || null, instructions: instructions.value,
      };
      await call('PUT', ['me', 'settings'], wanted);
      if (!['language', 'theme', 'fold_code', 'default_model', 'default_profile'].some((each) => (mine[each] ?? null) !== wanted[each])) {
        saidWell(told, say('saved'));
        return;
      }
      // The page is written in one language and one theme: it is asked for again, and what was typed stays.
      keep();
      location.reload();
    });
  });
  return form;
}
