// The code of a reset link stands behind the "#", which no server sees. It goes into its field, and
// out of the address: neither the history nor somebody who looks on needs it.
"use strict";

if (location.hash.length > 1) {
  document.getElementById("code").value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}
