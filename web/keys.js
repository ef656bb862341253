// jiceng: keys that save the way to the mouse. Nothing needs this file: every page works the same without it.
// Ctrl+S saves the form of the page, and never the page itself, which would leave its words on a disk;
// a slash goes to the search box, j and k go down and up through what was found. The pages say which element is meant
// by data-key.
(function () {
  'use strict';

  function types(element) {
    return /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName) || element.isContentEditable;
  }

  document.addEventListener('keydown', function (event) {
    var control = event.ctrlKey || event.metaKey;
    if (event.isComposing || event.altKey || event.shiftKey) {
      return;
    }
    if (control && event.key.toLowerCase() === 's') {
      event.preventDefault();
      var save = document.querySelector('[data-key="save"]');
      // A key that is held down saves once.
      if (save && !event.repeat) {
        save.click();
      }
    } else if (!control && event.key === '/' && !types(event.target)) {
      var find = document.querySelector('[data-key="find"]');
      if (find) {
        event.preventDefault();
        find.focus();
        find.select();
      }
    } else if (!control && (event.key === 'j' || event.key === 'k') && !types(event.target)) {
      var hits = Array.from(document.querySelectorAll('[data-key="hit"]'));
      var at = hits.indexOf(document.activeElement);
      var next = hits[event.key === 'j' ? at + 1 : Math.max(at, 1) - 1];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    }
  });
}());
