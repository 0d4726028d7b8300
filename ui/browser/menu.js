// At the foot of the sessions: settings, the page for admins, the keys.

import { button, glovebox, me, node, part, say } from './core.js';
import { help } from './keys.js';
import { settings } from './settings.js';

const { element } = await part('menu');
const entries = node('nav', { class: 'gb-entries', 'aria-label': say('menu') },
  button(say('settings'), () => settings(), { id: 'open-settings' }), button(say('keys_short'), help));
element.replaceChildren(entries);
const who = await me().catch(() => null);
if (who?.role === 'admin') entries.append(node('a', { href: `${glovebox.root}admin` }, say('admin')));

// Gradio calls both of its toggles the same.
const name = (panel, label) => document.querySelector(`${panel} .toggle-button`)?.setAttribute('aria-label', label);
name('#sessions-panel', say('toggle_sessions'));
name('#files-panel', say('toggle_files'));
