"""What the preload library shows to the program it is loaded into, and what it drags along."""
import glob
import os
import re
import subprocess
import unittest

import harness

MALLOC_FAMILY = set("""malloc calloc realloc reallocarray free memalign aligned_alloc posix_memalign valloc pvalloc
    malloc_usable_size free_sized free_aligned_sized cfree""".split())
# Interposed to know how a process goes on or ends, and to keep the environment as the program expects it;
# docs/design has the reason for each.
OTHERS = set("""fork vfork _Fork clone daemon
    execve execv execvp execvpe execl execlp execle execveat fexecve posix_spawn posix_spawnp system popen pclose
    exit _exit _Exit quick_exit abort prctl pthread_create pthread_setname_np""".split())

# Interposed by libgeomem: to know the program's threads from their beginning, to keep the signal that stops them
# deliverable and the handler of write faults in front.
COLLECTOR = set("""execl execle execlp execv execve execveat execvp execvpe fexecve makecontext pthread_attr_setsigmask_np
    pthread_clockjoin_np pthread_create pthread_detach pthread_exit pthread_join pthread_sigmask
    pthread_timedjoin_np pthread_tryjoin_np sigaction sigaltstack signal signalfd sigprocmask sigtimedwait
    sigwait sigwaitinfo timer_create""".split())
# The same, since a thread that waits in them counts as stopped: see docs/design/threads.md.
WAITS = set("""__poll_chk __ppoll_chk __read_chk __recv_chk __recvfrom_chk accept accept4 aio_suspend clock_nanosleep connect
    epoll_pwait epoll_pwait2 epoll_wait fdatasync flock fsync lockf mq_receive mq_send mq_timedreceive mq_timedsend
    msgrcv msgsnd nanosleep pause poll posix_spawn posix_spawnp ppoll pselect pthread_barrier_wait
    pthread_cond_clockwait pthread_cond_timedwait pthread_cond_wait read readv recv recvfrom recvmmsg recvmsg select
    sem_clockwait sem_timedwait sem_wait semop semtimedop send sendfile sendmmsg sendmsg sendto sigsuspend sleep
    system usleep wait wait3 wait4 waitid waitpid write writev""".split())


# The same, since they have the kernel write into a buffer: see docs/design/dirty.md.
READS = set("fread getrandom pread pread64".split())


def library():
    found = [path for path in glob.glob(os.path.join(harness.BUILD, "lib", "**", "*.so*"), recursive=True)
             if "preload" in os.path.basename(path) and not os.path.islink(path)]
    if len(found) != 1:
        raise AssertionError(f"preload libraries under {harness.BUILD}/lib: {found}")
    return found[0]


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8",
                          env=harness.clean_env({"LC_ALL": "C"})).stdout


class Exports(unittest.TestCase):
    def test_exported_symbols_are_the_family_the_documented_and_geomem(self):
        lines = output("nm", "-D", "--defined-only", library()).splitlines()
        names = {line.split()[-1].split("@")[0] for line in lines}
        self.assertLessEqual(MALLOC_FAMILY - {"cfree"}, names, "each of the family is interposed")
        strangers = {name for name in names - MALLOC_FAMILY - OTHERS if not name.startswith("geomem_")}
        self.assertEqual(strangers, set())

    def test_needs_nothing_beyond_libc(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", output("readelf", "-d", library()))
        self.assertLessEqual(set(needed), {"libc.so.6", "ld-linux-x86-64.so.2"})

    def test_no_text_relocations_no_executable_stack_no_rpath(self):
        dynamic = output("readelf", "-d", library())
        self.assertNotIn("TEXTREL", dynamic)
        self.assertNotRegex(dynamic, r"R(UN)?PATH")
        stack, = [line for line in output("readelf", "-lW", library()).splitlines() if "GNU_STACK" in line]
        self.assertEqual(stack.split()[-2], "RW")

    def test_thread_local_data_is_initial_exec(self):
        imported = output("nm", "-D", "--undefined-only", library())
        self.assertNotIn("__tls_get_addr", imported, "a TLS access that may allocate")

    def test_there_is_little_thread_local_data(self):
        tls, = [line.split() for line in output("readelf", "-lW", library()).splitlines() if line.split()[:1] == ["TLS"]]
        self.assertLessEqual(int(tls[5], 16), 80, "bytes; they lie on the stack of each of the program's threads")

    def test_geomem_symbols_only_where_linked(self):
        for path in glob.glob(os.path.join(harness.BUILD, "lib", "libgeomem.so*")):
            names = [line.split()[-1] for line in output("nm", "-D", "--defined-only", path).splitlines()]
            self.assertEqual([name for name in names if not name.startswith("geomem_")
                              and name.split("@")[0] not in seed_names() | COLLECTOR | WAITS | READS], [], path)


def seed_names():
    return set("""allocate_memory free_memory perform_gc init_gc gc_young_generation gc_old_generation start_profiling
        stop_profiling analyze_memory_usage init_caching_layer get_cached_data store_cached_data
        remove_cached_data get_or_load_cached_data""".split())


if __name__ == "__main__":
    unittest.main(verbosity=2)
