// Asks for the token that the proxy wants from operators.
import { locked, post } from '../api.js';
import { retryNow } from '../events.js';
import { t } from '../i18n.js';
import { epoch } from '../store.js';
import { html, useEffect, useState } from '../ui.js';
import { focusIfLost } from '../parts/dialog.js';
import { Field } from '../parts/field.js';

export function Login() {
  const [token, setToken] = useState('');
  const [fault, setFault] = useState(null);
  // `autofocus` is for the first time only.
  useEffect(() => {
    focusIfLost('field-token');
    return () => focusIfLost('content');
  }, []);
  const enter = async (event) => {
    event.preventDefault();
    try {
      await post('/api/login', { token });
      locked.value = false;
      epoch.value += 1;
      retryNow();
    } catch (problem) {
      setFault(problem);
    }
  };
  return html`<main class="login"><form class="panel" onSubmit=${enter}><h1>claude-proxy</h1><p class="faint">${t('login.why')}</p>
    <${Field} name="token" label=${t('login.token')} value=${token} onInput=${setToken} fault=${fault} hint=${t('login.hint')} type="password" mono autofocus />
    <button class="primary" type="submit" disabled=${!token}>${t('login.enter')}</button></form></main>`;
}
