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

LISP = r"""
(defun tree (d) (if (= d 0) (list d) (cons (tree (- d 1)) (tree (- d 1)))))
(defun nodes (x) (if (consp x) (+ 1 (nodes (car x)) (nodes (cdr x))) 0))
(let ((h (make-hash-table :test 'equal)))
  (dotimes (i 30)
    (setf (gethash (format nil "k~a" (mod i 7)) h) (tree 12))
    (format t "~a~%" (nodes (gethash (format nil "k~a" (mod i 7)) h))))
  (ext:gc t)
  (let ((n 0)) (maphash (lambda (k v) (declare (ignore k)) (incf n (nodes v))) h) (print n)))
(print (length (let ((l nil)) (dotimes (i 50000) (push (format nil "~a" (* i i)) l)) l)))
"""

NIX = ("let f = n: if n == 0 then [] else [n] ++ f (n - 1); l = builtins.genList (x: { a = toString (x * x); b = f 50; }) "
       "20000; in builtins.map (n: builtins.foldl' (a: x: a + n + builtins.length x.b + builtins.stringLength x.a) 0 l) "
       "(builtins.genList (n: n) 40)")

# What asymptote, chase, crystal, debfoster, ecl, fauhdlc, goo, guile 2.2 and 3.0, homfly, inkscape, lilypond, mmv, neko, nix, the
# Objective-C runtime, parser3, poke, stalin and w3m of Debian 12 import: nm -D on their files.
IMPORTED = """
    GC_add_roots GC_all_interior_pointers GC_allow_register_threads GC_base GC_call_with_alloc_lock
    GC_call_with_gc_active GC_call_with_stack_base GC_clear_roots GC_collect_a_little GC_debug_free
    GC_debug_malloc GC_debug_malloc_atomic GC_debug_malloc_uncollectable GC_debug_register_finalizer_ignore_self
    GC_disable GC_dlopen GC_do_blocking GC_dump GC_enable GC_enable_incremental GC_expand_hp GC_free GC_gcollect
    GC_gcollect_and_unmap GC_general_register_disappearing_link GC_generic_malloc GC_generic_malloc_many
    GC_get_bytes_since_gc GC_get_free_bytes GC_get_gc_no GC_get_heap_size GC_get_heap_usage_safe GC_get_oom_fn
    GC_get_push_other_roots GC_get_stack_base GC_get_start_callback GC_get_suspend_signal
    GC_get_thr_restart_signal GC_get_total_bytes GC_get_warn_proc GC_greatest_plausible_heap_addr
    GC_ignore_warn_proc GC_init GC_invoke_finalizers GC_is_heap_ptr GC_is_visible GC_java_finalization
    GC_least_plausible_heap_addr GC_make_descriptor GC_malloc GC_malloc_atomic GC_malloc_atomic_ignore_off_page
    GC_malloc_atomic_uncollectable GC_malloc_explicitly_typed GC_malloc_ignore_off_page GC_malloc_many
    GC_malloc_uncollectable GC_mark_and_push GC_move_disappearing_link GC_new_free_list GC_new_kind GC_new_proc
    GC_no_dls GC_pthread_create GC_pthread_detach GC_pthread_exit GC_pthread_join GC_pthread_sigmask GC_push_all
    GC_push_all_eager GC_push_conditional GC_push_other_roots GC_realloc GC_register_displacement
    GC_register_finalizer_ignore_self GC_register_finalizer_no_order GC_register_my_thread GC_remove_roots
    GC_set_all_interior_pointers GC_set_dont_expand GC_set_finalize_on_demand GC_set_finalizer_notifier
    GC_set_free_space_divisor GC_set_handle_fork GC_set_java_finalization GC_set_mark_bit GC_set_max_heap_size
    GC_set_no_dls GC_set_oom_fn GC_set_push_other_roots GC_set_start_callback GC_set_time_limit GC_set_warn_proc
    GC_stackbottom GC_strdup GC_strndup GC_unregister_disappearing_link GC_unregister_my_thread
""".split()


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
        cls.lisp = os.path.join(cls.folder, "tree.lisp")
        with open(cls.lisp, "w", encoding="utf-8") as out:
            out.write(LISP)
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

    def check_recorded(self, words):
        theirs = self.run_on(None, words)
        made = self.record(*words, env={"LD_LIBRARY_PATH": FOLDER, "HOME": self.folder, "GUILE_AUTO_COMPILE": "0"})
        self.assertEqual(made.stdout, theirs)
        gc = made.json("gc")
        of_all = next(row for row in gc["collections"] if row["kind"] == "all")
        self.assertGreater(of_all["collections"], 3)
        self.assertGreater(of_all["pauses"]["count"], 3)
        self.assertGreater(of_all["pauses"]["max_ns"], 0)
        # A recorder with sanitizers is too slow for programs that do nothing but allocate: the ring is full for longer
        # than the program is made to wait.
        if not harness.is_sanitized():
            self.assertEqual(gc["lost_events"], 0)
        return made

    def test_exports_all_that_clients_import_and_no_insides(self):
        lines = subprocess.run(["nm", "-D", "--defined-only", os.path.join(FOLDER, "libgc.so.1")], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        names = {line.split()[-1] for line in lines}
        self.assertEqual(set(IMPORTED) - names, set())
        self.assertEqual([name for name in names if name.startswith("gm_")], [])
        self.assertNotIn("allocate_memory", names, "the seed API is libgeomem.so's")

    @needs("w3m")
    def test_w3m_is_recorded_with_its_collections(self):
        made = self.check_recorded(self.w3m)
        self.assertIn("COLLECTIONS", made.report("gc"))

    @needs("guile")
    def test_guile_is_recorded_with_its_collections(self):
        self.check_recorded(self.guile)

    @needs("w3m")
    def test_w3m_renders_a_large_page_alike(self):
        self.check_same(self.w3m)

    @needs("ecl")
    def test_ecl_runs_a_program_alike(self):
        self.check_same(["ecl", "--norc", "--shell", self.lisp])

    @needs("nix-instantiate")
    def test_nix_evaluates_alike(self):
        self.check_same(["nix-instantiate", "--eval", "--strict", "-E", NIX])

    @needs("guile")
    def test_guile_runs_a_program_alike(self):
        self.check_same(self.guile)


if __name__ == "__main__":
    unittest.main(verbosity=2)
