#!/usr/bin/env python3
"""Programs of Debian's that were built for bdwgc, on our libgc.so.1: the same output, and collections to be seen."""
import os
import shutil
import subprocess
import tempfile
import unittest

import harness

FOLDER = os.path.join(harness.BUILD, "lib/geomem/bdwgc")

GUILE = r"""
(use-modules (ice-9 threads))
(define (make-tree depth)
  (if (= depth 0) (list depth)
      (cons (make-tree (- depth 1)) (make-tree (- depth 1)))))
(define (count tree) (if (pair? tree) (+ 1 (count (car tree)) (count (cdr tree))) 0))
(define table (make-hash-table))
(define weak (make-weak-key-hash-table))
(define guarded (make-guardian))
(let loop ((i 0))
  (when (< i 60)
    (let ((tree (make-tree 12)))
      (hash-set! table (modulo i 7) tree)
      (hashq-set! weak (list i) (number->string i))
      (guarded (list 'dropped i))
      (display (count tree)) (newline))
    (loop (+ i 1))))
(define text (let loop ((i 0) (all '()))
  (if (= i 3000) (string-join (reverse all) ",") (loop (+ i 1) (cons (number->string (* i i i) 7) all)))))
(display (string-length text)) (newline)
(gc)
(display (hash-fold (lambda (k v n) (+ n (count v))) 0 table)) (newline)
(display (list 'some-weak-keys-are-gone (< (hash-fold (lambda (k v n) (+ n 1)) 0 weak) 60))) (newline)
(let loop ((n 0)) (if (guarded) (loop (+ n 1)) (begin (display (list 'guarded (> n 0))) (newline))))
(define threads (map (lambda (n) (call-with-new-thread (lambda () (count (make-tree (+ 10 n)))))) '(0 1 2 3)))
(display (map join-thread threads)) (newline)
"""


def page(rows):
    """HTML with tables of `rows` rows in all: about 380 bytes each."""
    out, seed = ["<html><head><title>page</title></head><body><h1>Numbers</h1>"], 1
    for section in range(rows // 100):
        out.append(f"<h2>Section {section}</h2><table border=1>")
        for row in range(100):
            cells = []
            for column in range(6):
                seed = (seed * 1103515245 + 12345) & 0x7fffffff
                cells.append(f"<td><a href='http://x/{seed}'>{seed:x}</a> <b>{column * row}</b></td>")
            out.append("<tr>" + "".join(cells) + "</tr>")
        out.append("</table><p>" + " ".join(f"word{(seed >> i) & 1023}" for i in range(20)) + "</p>")
    return "\n".join(out + ["</body></html>"])


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


class Clients(harness.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="geomem-bdwgc-")
        cls.page = os.path.join(cls.folder, "page.html")
        cls.scheme = os.path.join(cls.folder, "tree.scm")
        with open(cls.page, "w", encoding="utf-8") as out:
            out.write(page(6000))
        with open(cls.scheme, "w", encoding="utf-8") as out:
            out.write(GUILE)
        cls.w3m = ["w3m", "-dump", "-T", "text/html", "-cols", "120", cls.page]
        cls.guile = ["guile", "--no-auto-compile", cls.scheme]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def run_on(self, library_folder, words):
        env = harness.clean_env({"HOME": self.folder, "GUILE_AUTO_COMPILE": "0"})
        if library_folder:
            env["LD_LIBRARY_PATH"] = library_folder
        done = subprocess.run(words, env=env, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace")[-2000:])
        return done.stdout

    def loaded(self, words):
        env = harness.clean_env({"HOME": self.folder, "LD_LIBRARY_PATH": FOLDER, "LD_DEBUG": "libs"})
        return subprocess.run(words, env=env, capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                              check=False).stderr.decode(errors="replace")

    def check_same(self, words):
        self.assertIn(os.path.join(FOLDER, "libgc.so.1"), self.loaded(words), "our library is the one that is used")
        theirs = self.run_on(None, words)
        self.assertGreater(len(theirs), 100)
        for _ in range(3):
            self.assertEqual(self.run_on(FOLDER, words), theirs)

    @needs("w3m")
    def test_w3m_renders_a_large_page_alike(self):
        self.check_same(self.w3m)

    @needs("guile")
    def test_guile_runs_a_program_alike(self):
        self.check_same(self.guile)


if __name__ == "__main__":
    unittest.main(verbosity=2)
