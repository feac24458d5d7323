// SPDX-License-Identifier: GPL-2.0-only
/*
 * First and only process of a guest that `hvolab boot` starts. It reads one command a line from the console and
 * answers each with lines that begin with "| ", and a last one, "@@DONE" and a result: 0, or a negative errno.
 *
 *   r PATH        print a file
 *   w PATH VALUE  write to a file
 *   k             print runs of pages with KPF_HUGE: first PFN, pages, heads, pages that are free in the allocator too
 *   m             print the kernel's messages since the last time
 *   s SECONDS CHURNS COUNT PATH
 *                 for so long, CHURNS processes write COUNT and 0 to PATH in turns, while others read the flags and
 *                 counts of all pages and compact memory; each prints how often; then 0 is written to PATH
 *   q             power off
 *
 * It needs no library and no header, so that any compiler for the architecture builds it.
 */

typedef unsigned long ulong;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, NANOSLEEP = 35, CLONE = 56, EXIT = 60, WAIT4 = 61, SYSLOG = 103, MOUNT = 165,
       REBOOT = 169, CLOCK_GETTIME = 228, OPENAT = 257, MKDIRAT = 258 };
static long call(long n, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin\n");
#else
enum { MKDIRAT = 34, MOUNT = 40, OPENAT = 56, CLOSE = 57, READ = 63, WRITE = 64, EXIT = 93, NANOSLEEP = 101,
       CLOCK_GETTIME = 113, SYSLOG = 116, REBOOT = 142, CLONE = 220, WAIT4 = 260 };
#if defined(__aarch64__)
static long call(long n, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
__asm__(".globl _start\n_start:\n\tbl begin\n");
#elif defined(__riscv)
static long call(long n, long a, long b, long c, long d, long e)
{
	register long a7 __asm__("a7") = n;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
	return a0;
}
__asm__(".globl _start\n_start:\n\tcall begin\n");
#else
#error "hvolab boot has no system calls for this architecture"
#endif
#endif

enum { AT_FDCWD = -100, O_WRONLY = 1, O_NONBLOCK = 04000 };
enum { KPF_BUDDY = 1 << 10, KPF_HEAD = 1 << 15, KPF_HUGE = 1 << 17, KPF_NOPAGE = 1 << 20 };

static char buffer[1 << 16], line[4096], out[1 << 12];
static int used;

void *memset(void *to, int value, ulong count)
{
	volatile char *p = to;
	while (count--)
		*p++ = value;
	return to;
}

void *memcpy(void *to, const void *from, ulong count)
{
	volatile char *p = to;
	const char *q = from;
	while (count--)
		*p++ = *q++;
	return to;
}

static void flush(void)
{
	for (int done = 0; done < used;) {
		long count = call(WRITE, 1, (long)(out + done), used - done, 0, 0);
		if (count <= 0)
			break;
		done += count;
	}
	used = 0;
}

static void put(char c)
{
	out[used++] = c;
	if (used == sizeof(out))
		flush();
}

static void text(const char *s)
{
	while (*s)
		put(*s++);
}

static void number(long value)
{
	char digits[24];
	int count = 0;
	ulong rest = value < 0 ? -(ulong)value : (ulong)value;
	if (value < 0)
		put('-');
	do
		digits[count++] = '0' + rest % 10;
	while (rest /= 10);
	while (count)
		put(digits[--count]);
}

static long parse(const char *s)
{
	long value = 0;
	while (*s >= '0' && *s <= '9')
		value = 10 * value + *s++ - '0';
	return value;
}

static long open(const char *path, int flags)
{
	return call(OPENAT, AT_FDCWD, (long)path, flags, 0, 0);
}

static long length(const char *s)
{
	long count = 0;
	while (s[count])
		count++;
	return count;
}

static long write_to(const char *path, const char *value)
{
	long file = open(path, O_WRONLY);
	if (file < 0)
		return file;
	long count = call(WRITE, file, (long)value, length(value), 0, 0);
	call(CLOSE, file, 0, 0, 0, 0);
	return count < 0 ? count : 0;
}

/* Print what was read, each line after "| ". */
static int print(const char *from, long count, int at_start)
{
	for (long i = 0; i < count; i++) {
		if (at_start)
			text("| ");
		at_start = from[i] == '\n';
		if (from[i])
			put(from[i]);
	}
	return at_start;
}

static long read_file(const char *path)
{
	long file = open(path, 0), count;
	int at_start = 1;
	if (file < 0)
		return file;
	while ((count = call(READ, file, (long)buffer, sizeof(buffer), 0, 0)) > 0)
		at_start = print(buffer, count, at_start);
	if (!at_start)
		put('\n');
	call(CLOSE, file, 0, 0, 0, 0);
	return count;
}

/* A record ends with a newline; lines of it that begin with a blank are its dictionary. */
static long messages(long file)
{
	for (;;) {
		long count = call(READ, file, (long)buffer, sizeof(buffer), 0, 0);
		if (count == -32) /* EPIPE: older records are lost */
			continue;
		if (count <= 0)
			return count == -11 ? 0 : count; /* EAGAIN: there are no more */
		print(buffer, count, 1);
	}
}

static long page_flags(void)
{
	long file = open("/proc/kpageflags", 0), count;
	ulong pfn = 0, first = 0, pages = 0, heads = 0, buddy = 0;
	if (file < 0)
		return file;
	while ((count = call(READ, file, (long)buffer, sizeof(buffer), 0, 0)) > 0 || pages) {
		long entries = count > 0 ? count / 8 : 1;
		for (long i = 0; i < entries; i++, pfn++) {
			ulong flags = count > 0 ? ((ulong *)buffer)[i] : 0;
			if ((flags & KPF_HUGE) && !(flags & KPF_NOPAGE)) {
				first = pages++ ? first : pfn;
				heads += !!(flags & KPF_HEAD);
				buddy += !!(flags & KPF_BUDDY);
			} else if (pages) {
				text("| ");
				number(first);
				put(' ');
				number(pages);
				put(' ');
				number(heads);
				put(' ');
				number(buddy);
				put('\n');
				pages = heads = buddy = 0;
			}
		}
		if (count <= 0)
			break;
	}
	call(CLOSE, file, 0, 0, 0, 0);
	return count < 0 ? count : 0;
}

/* Print messages of lower levels on the console. */
static void show_messages(long level)
{
	call(SYSLOG, 8, 0, level, 0, 0);
}

static long seconds(void)
{
	long now[2] = { 0, 0 };
	call(CLOCK_GETTIME, 1, (long)now, 0, 0, 0); /* CLOCK_MONOTONIC */
	return now[0];
}

static void skim(const char *path)
{
	long file = open(path, 0);
	if (file < 0)
		return;
	while (call(READ, file, (long)buffer, sizeof(buffer), 0, 0) > 0)
		;
	call(CLOSE, file, 0, 0, 0, 0);
}

/* What one process of a stress does again and again: 0 reads, 1 compacts, others change the pool. */
static void labor(int which, const char *path, const char *count)
{
	if (which == 0) {
		skim("/proc/kpageflags");
		skim("/proc/kpagecount");
	} else if (which == 1) {
		write_to("/proc/sys/vm/compact_memory", "1");
	} else {
		write_to(path, count);
		write_to(path, "0");
	}
}

static long stress(long limit, long churns, const char *count, const char *path)
{
	static const char *const done[] = { " reads of page flags", " compactions", " changes of the pool and back" };
	long until = seconds() + limit, second[2] = { 1, 0 }, failed = 0;
	flush();
	show_messages(7); /* a kernel that hangs or crashes says why on the console */
	for (int which = 0; which < churns + 2; which++) {
		long child = call(CLONE, 17, 0, 0, 0, 0); /* SIGCHLD */
		if (child) {
			failed = child < 0 ? child : failed;
			continue;
		}
		long times = 0;
		for (; seconds() < until; times++)
			labor(which, path, count);
		text("| ");
		number(times);
		text(done[which < 2 ? which : 2]);
		put('\n');
		flush();
		call(EXIT, 0, 0, 0, 0, 0);
	}
	while (seconds() < until) { /* a guest that prints nothing is taken for hung */
		call(NANOSLEEP, (long)second, 0, 0, 0, 0);
		text("| \n");
		flush();
	}
	while (call(WAIT4, -1, 0, 0, 0, 0) > 0)
		;
	show_messages(1);
	long last = write_to(path, "0");
	for (int rest = 0; rest < 5; rest++) /* kcompactd holds free pages while it runs, and some are freed later */
		call(NANOSLEEP, (long)second, 0, 0, 0, 0);
	return failed ? failed : last;
}

/* Cut the next word off a line. */
static char *word(char **rest)
{
	char *start = *rest;
	while (**rest && **rest != ' ')
		(*rest)++;
	if (**rest)
		*(*rest)++ = 0;
	return start;
}

static long obey(char *rest, long log)
{
	char what = *word(&rest);
	char *path, *count;
	long seconds_given, churns;
	switch (what) {
	case 'r':
		return read_file(word(&rest));
	case 'w':
		path = word(&rest);
		return write_to(path, rest);
	case 'k':
		return page_flags();
	case 'm':
		return messages(log);
	case 's':
		seconds_given = parse(word(&rest));
		churns = parse(word(&rest));
		count = word(&rest);
		return stress(seconds_given, churns, count, rest);
	case 'q':
		return call(REBOOT, 0xfee1dead, 672274793, 0x4321fedc, 0, 0);
	}
	return -22; /* EINVAL */
}

static void mount(const char *type, const char *path)
{
	call(MKDIRAT, AT_FDCWD, (long)path, 0755, 0, 0);
	call(MOUNT, (long)type, (long)path, (long)type, 0, 0);
}

__attribute__((used)) void begin(void)
{
	mount("proc", "/proc");
	mount("sysfs", "/sys");
	mount("devtmpfs", "/dev");
	show_messages(1); /* they would break the lines below: `m` prints them */
	long log = open("/dev/kmsg", O_NONBLOCK);
	text("\n@@READY\n");
	flush();
	for (int size = 0;;) {
		char c;
		if (call(READ, 0, (long)&c, 1, 0, 0) != 1)
			continue;
		if (c != '\n' && c != '\r') {
			if (size < (int)sizeof(line) - 1)
				line[size++] = c;
			continue;
		}
		if (!size)
			continue;
		line[size] = 0;
		size = 0;
		long result = obey(line, log);
		text("@@DONE ");
		number(result);
		put('\n');
		flush();
	}
}
