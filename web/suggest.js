// jiceng: offers while somebody types into a search box. Nothing needs this file: Enter searches as ever. What is typed
// goes to this server alone, in the body of a request; what comes back is shown as text, and only as links to pages.
(function () {
  'use strict';

  var WAIT = 250;
  var FEWEST = 1;

  function attach(input, number) {
    var form = input.form;
    var list = document.createElement('ul');
    var told = document.createElement('span');
    var active = -1;
    var timer = 0;
    var asking = null;

    list.id = 'offers-' + number;
    list.className = 'offers no-print';
    list.hidden = true;
    list.setAttribute('role', 'listbox');
    list.setAttribute('aria-label', '检索提示');
    told.className = 'sr';
    told.setAttribute('role', 'status');
    form.append(list, told);
    input.setAttribute('role', 'combobox');
    input.setAttribute('aria-autocomplete', 'list');
    input.setAttribute('aria-controls', list.id);
    input.setAttribute('aria-expanded', 'false');

    function hide() {
      list.hidden = true;
      active = -1;
      input.setAttribute('aria-expanded', 'false');
      input.removeAttribute('aria-activedescendant');
    }

    function forget() {
      clearTimeout(timer);
      if (asking) {
        asking.abort();
        asking = null;
      }
      hide();
    }

    function choose(at) {
      var all = list.children;
      if (active >= 0) {
        all[active].setAttribute('aria-selected', 'false');
      }
      active = at;
      if (at < 0) {
        input.removeAttribute('aria-activedescendant');
      } else {
        all[at].setAttribute('aria-selected', 'true');
        input.setAttribute('aria-activedescendant', all[at].id);
      }
    }

    function line(offer, at) {
      var item = document.createElement('li');
      var link = document.createElement('a');
      item.id = list.id + '-' + at;
      item.setAttribute('role', 'option');
      item.setAttribute('aria-selected', 'false');
      link.href = offer.path;
      link.tabIndex = -1;
      [['chip', offer.kind], ['offer-title', offer.title], ['muted', offer.beside]].forEach(function (part) {
        var span = document.createElement('span');
        span.className = part[0];
        span.textContent = part[1];
        link.append(span);
      });
      item.append(link);
      return item;
    }

    function show(offers) {
      hide();
      list.replaceChildren.apply(list, offers.map(line));
      told.textContent = offers.length ? offers.length + ' 条提示，用上下键选择' : '';
      if (offers.length && document.activeElement === input) {
        list.hidden = false;
        input.setAttribute('aria-expanded', 'true');
      }
    }

    function ask() {
      var text = input.value.trim();
      forget();
      if (text.length < FEWEST) {
        return;
      }
      var own = new AbortController();
      asking = own;
      fetch('/suggest', {
        method: 'POST',
        body: new URLSearchParams({ csrf: form.elements.csrf.value, text: text }),
        credentials: 'same-origin',
        redirect: 'error',
        cache: 'no-store',
        signal: own.signal
      }).then(function (answer) {
        return answer.ok ? answer.json() : [];
      }).then(function (offers) {
        if (asking === own) {
          asking = null;
          show(offers);
        }
      }).catch(function () {
        // No offers: Enter searches as ever.
      });
    }

    function later() {
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT);
    }

    input.addEventListener('input', function (event) {
      if (!event.isComposing) {
        later();
      }
    });
    input.addEventListener('compositionend', later);
    input.addEventListener('blur', forget);
    // A click must not take the cursor out of the box before it is a click.
    list.addEventListener('mousedown', function (event) {
      event.preventDefault();
    });
    form.addEventListener('submit', forget);
    input.addEventListener('keydown', function (event) {
      var all = list.children.length;
      if (event.isComposing || list.hidden || !all) {
        return;
      }
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        var step = event.key === 'ArrowDown' ? 1 : -1;
        event.preventDefault();
        // One place more than there are offers: the box itself.
        choose((active + 1 + step + all + 1) % (all + 1) - 1);
      } else if (event.key === 'Enter' && active >= 0) {
        event.preventDefault();
        list.children[active].firstChild.click();
      } else if (event.key === 'Escape') {
        event.preventDefault();
        forget();
      }
    });
  }

  document.querySelectorAll('[data-suggest]').forEach(attach);
}());
