// A modal dialog: the browser's own, which keeps the focus inside, closes on Escape and gives the focus back.
import { html, useEffect, useRef } from '../ui.js';
import { t } from '../i18n.js';
import { icon } from './icons.js';

export function Dialog({ title, onClose, wide, children, actions }) {
  const element = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  const pressed = (event) => event.target === element.current && onClose();
  return html`<dialog ref=${element} class=${wide ? 'wide' : ''} aria-labelledby="dialog-title" onCancel=${cancelled} onMouseDown=${pressed}>
    <div class="dialog-body">
      <header><h2 id="dialog-title">${title}</h2>
        <button class="icon-only ghost" aria-label=${t('act.close')} onClick=${onClose}>${icon('close')}</button></header>
      <div class="dialog-content">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </div>
  </dialog>`;
}
