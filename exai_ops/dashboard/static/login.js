// The login page, in light and dark; its form is sent to the address that was asked for, filters included.
import { applyTheme } from './theme.js';

applyTheme();

// A link from another site arrives without the cookie (it is SameSite=Strict), though there may be one.
const TRIED = 'exai-login-tried';
const told = await (await fetch('/dashboard/session', { cache: 'no-store' })).json();
if (!told.in) sessionStorage.removeItem(TRIED);
else if (!sessionStorage.getItem(TRIED)) {
  sessionStorage.setItem(TRIED, 'yes');
  location.replace('/dashboard' + location.search);
}
