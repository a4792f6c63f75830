// Calls of the management port. The key, if there is one, lives in this tab only.
const KEY_NAME = 'vallm-admin-key';

class Refused extends Error {}

let asking = null;  // the one prompt for a key that may be open

function adminKey() {
  return sessionStorage.getItem(KEY_NAME);
}

function askForKey(wrong) {
  if (asking) return asking;
  const dialog = $('key-dialog');
  $('key-error').hidden = !wrong;
  $('key-error').textContent = t('key_wrong');
  $('key-input').value = '';
  dialog.showModal();
  asking = new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      asking = null;
      const key = $('key-input').value.trim();
      if (key) sessionStorage.setItem(KEY_NAME, key);
      $('key-input').value = '';
      $('lock').hidden = !adminKey();
      resolve();
    }, {once: true});
  });
  return asking;
}

// Answers with the parsed body. Throws Refused with the server's message, or TypeError while the
// gateway cannot be reached.
async function call(method, path, body) {
  const key = adminKey();
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const response = await fetch(path, {
    method, headers, cache: 'no-store', credentials: 'omit', body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 401) {
    // Another call may have got a new key meanwhile.
    if (adminKey() === key) {
      sessionStorage.removeItem(KEY_NAME);
      await askForKey(key !== null);
    }
    return call(method, path, body);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error?.message || `HTTP ${response.status}`);
  return answer;
}
