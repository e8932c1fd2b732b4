/* SPDX-License-Identifier: Apache-2.0
 *
 * The D-Bus server on a system bus: a real dbus-daemon on a socket of the test's own, with the
 * policy that is installed. The bus comes late, is stopped so that it answers nobody, dies and
 * comes back; the private socket works through all of it. Needs dbus-daemon, and root, since only
 * root may own the name: else 77.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <cmocka.h>
#include "base/fd.h"
#include "manager/control-double.h"
#include "manager/control-internal.h"

#define NOBODY 65534

static char root[64], bus_socket[128], bus_config[128];
static pid_t server;

static int write_config(void)
{
	char text[2048];
	int n, fd = open(bus_config, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	n = snprintf(text, sizeof(text),
		"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\" "
		"\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">"
		"<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>"
		"<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/>"
		"<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>"
		"<allow send_requested_reply=\"true\" send_type=\"method_return\"/>"
		"<allow send_requested_reply=\"true\" send_type=\"error\"/>"
		"<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>"
		"<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>"
		"<allow send_destination=\"org.freedesktop.DBus\"/></policy>"
		"<include>%s</include></busconfig>",
		bus_socket, POLICY_FILE);
	if (fd < 0 || fd_write_all(fd, text, (size_t)n) < 0)
		return -1;
	fd_close(fd);
	return 0;
}

static pid_t bus_start(void)
{
	char argument[160];
	pid_t pid;

	snprintf(argument, sizeof(argument), "--config-file=%s", bus_config);
	unlink(bus_socket);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		execlp("dbus-daemon", "dbus-daemon", argument, "--nofork", "--nopidfile",
			"--nosyslog", (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void bus_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int setup(void **state)
{
	char address[160];

	snprintf(root, sizeof(root), "/tmp/ob-bus-XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	snprintf(bus_socket, sizeof(bus_socket), "%s/bus", root);
	snprintf(bus_config, sizeof(bus_config), "%s/bus.conf", root);
	snprintf(address, sizeof(address), "unix:path=%s", bus_socket);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
	if (write_config() < 0)
		return -1;
	server = double_start(root, true);
	return server < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	return double_stop(server, root) ? 0 : -1;
}

/* A client of the bus; the bus may just be starting, which its socket's file tells. */
static sd_bus *bus_connect(void)
{
	sd_bus *bus;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_address(bus, getenv("DBUS_SYSTEM_BUS_ADDRESS")) >= 0);
	assert_true(sd_bus_set_bus_client(bus, 1) >= 0);
	assert_true(sd_bus_set_watch_bind(bus, 1) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	return bus;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *name, *old, *new;

	if (sd_bus_message_read(message, "sss", &name, &old, &new) >= 0 && *new)
		*(bool *)userdata = true;
	return 0;
}

/* Until somebody owns our name: told by the bus, not asked again and again. */
static void wait_for_name(sd_bus *bus)
{
	sd_bus_slot *slot;
	bool owned = false;

	assert_true(sd_bus_add_match(bus, &slot,
			    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
			    "arg0='" CONTROL_NAME "'",
			    on_owner, &owned) >= 0);
	if (sd_bus_get_name_creds(bus, CONTROL_NAME, 0, NULL) >= 0)
		owned = true;
	while (!owned) {
		int r = sd_bus_process(bus, NULL);

		assert_true(r >= 0);
		if (r == 0)
			assert_true(sd_bus_wait(bus, 30ull * 1000 * 1000) > 0);
	}
	sd_bus_slot_unref(slot);
}

static int call_disable(sd_bus *bus, sd_bus_error *error)
{
	return sd_bus_call_method(bus, CONTROL_NAME, CONTROL_PATH, CONTROL_NAME, "Disable", error,
		NULL, "s", DOUBLE_FILTER);
}

static void assert_private_socket_works(void)
{
	sd_bus *bus = double_connect(root);

	assert_non_null(bus);
	/* A change sends a signal to the bus as well: that must not wait for it either. */
	assert_true(sd_bus_call_method(bus, NULL, CONTROL_PATH, CONTROL_NAME, "Deny", NULL, NULL,
			    "s", DOUBLE_AGENT) >= 0);
	sd_bus_close_unref(bus);
}

static int disable_as_nobody(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = bus_connect();

	if (sd_bus_call_method(bus, CONTROL_NAME, CONTROL_PATH,
		    "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &error, NULL,
		    NULL) < 0)
		return 1;
	if (call_disable(bus, &error) >= 0)
		return 2;
	return sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED) ? 0 : 3;
}

static int as_nobody(int (*function)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ? 99 : function());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* Red without sd_bus_set_watch_bind(), and without the look-up of the caller in ask_caller(). */
static void test_the_bus_may_come_late_and_names_the_caller(void **state)
{
	sd_bus *bus;
	pid_t pid;

	assert_private_socket_works();
	pid = bus_start();
	bus = bus_connect();
	wait_for_name(bus);
	assert_true(call_disable(bus, NULL) >= 0);
	assert_int_equal(as_nobody(disable_as_nobody), 0);
	sd_bus_close_unref(bus);
	bus_stop(pid);
}

/* Red when anything of the server waits for the bus, and without bus_retry(). */
static void test_a_hung_or_dead_bus_does_not_hurt(void **state)
{
	pid_t pid = bus_start();
	sd_bus *bus = bus_connect();

	wait_for_name(bus);
	kill(pid, SIGSTOP);
	for (int i = 0; i < 2000; i++)
		assert_private_socket_works();
	bus_stop(pid);
	sd_bus_close_unref(bus);
	assert_private_socket_works();
	pid = bus_start();
	bus = bus_connect();
	wait_for_name(bus);
	assert_true(call_disable(bus, NULL) >= 0);
	sd_bus_close_unref(bus);
	bus_stop(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_bus_may_come_late_and_names_the_caller, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_hung_or_dead_bus_does_not_hurt, setup, teardown),
	};

	if (geteuid() != 0 || system("command -v dbus-daemon >/dev/null") != 0) {
		puts("needs root and dbus-daemon");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
