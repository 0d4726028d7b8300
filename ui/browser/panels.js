// Everything around the conversation. Each part waits for its component, and works without the others.

import './composer.js';
import './draft.js';
import './login_again.js';
import './keys.js';
import './files.js';
import './sessions.js';
import './imports.js';
import './bar.js';
import './menu.js';
import './repairs.js';
