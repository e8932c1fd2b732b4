/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of states: every state can be left, every transient one has a deadline, whatever is on
 * can be removed, and nothing comes back from removal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "base/macros.h"
#include "manager/state.h"

static void names_are_told_apart(void **state)
{
	int i;

	for (i = 0; i < STATE_MAX_; i++) {
		assert_non_null(state_get((enum state)i)->name);
		assert_int_equal(state_of_name(state_get((enum state)i)->name), i);
	}
	assert_int_equal(state_of_name("activated enabled"), -EINVAL);
	assert_int_equal(state_of_name(""), -EINVAL);
}

/* Delete a deadline from the table to make this red. */
static void what_changes_has_a_deadline(void **state)
{
	int i;

	for (i = 0; i < STATE_MAX_; i++) {
		const struct state_row *row = state_get((enum state)i);

		if (row->group == GROUP_CHANGING)
			assert_int_not_equal(row->deadline_sec, 0);
		if (row->group == GROUP_ON || row->group == GROUP_OFF ||
			row->group == GROUP_PENDING)
			assert_int_equal(row->deadline_sec, 0);
	}
}

static uint32_t reach(enum state from)
{
	uint32_t reached = 1u << from, before = 0;
	int i;

	while (reached != before) {
		before = reached;
		for (i = 0; i < STATE_MAX_; i++)
			if (reached & 1u << i)
				reached |= state_get((enum state)i)->next;
	}
	return reached;
}

static void everything_can_be_removed(void **state)
{
	int i;

	for (i = 0; i < STATE_MAX_; i++)
		assert_true(reach((enum state)i) & 1u << STATE_UNINSTALLING);
}

static void everything_can_be_reached(void **state)
{
	assert_int_equal(reach(STATE_VALIDATING), (1u << STATE_MAX_) - 1);
}

static void removal_is_final(void **state)
{
	static const enum state removing[] = { STATE_TERMINATING_FOR_UNINSTALL,
		STATE_TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING, STATE_UNINSTALLING };
	size_t i;
	int to;

	for (i = 0; i < ARRAY_SIZE(removing); i++)
		for (to = 0; to < STATE_MAX_; to++)
			if (state_may(removing[i], (enum state)to))
				assert_int_equal(state_get((enum state)to)->group, GROUP_REMOVING);
	assert_int_equal(state_get(STATE_UNINSTALLING)->next, 0);
}

/* Nothing runs that nobody has allowed: the one way to "enabled" is through "enabling". */
static void enabled_comes_after_enabling(void **state)
{
	int from;

	for (from = 0; from < STATE_MAX_; from++)
		assert_int_equal(state_may((enum state)from, STATE_ACTIVATED_ENABLED),
			from == STATE_ACTIVATED_ENABLING);
	assert_false(state_may(STATE_VALIDATING, STATE_ACTIVATED_ENABLING));
	assert_false(state_may(STATE_MAX_, STATE_UNINSTALLING));
	assert_false(state_may(STATE_VALIDATING, STATE_MAX_));
}

/* Two copies of which both could hold the slot would make every later request fail. */
static void what_leaves_gives_up_the_slot(void **state)
{
	int i;

	for (i = 0; i < STATE_MAX_; i++)
		if (state_get((enum state)i)->group == GROUP_REMOVING)
			assert_int_equal(state_get((enum state)i)->slot, SLOT_NO);
	assert_int_equal(state_get(STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE)->slot, SLOT_NO);
	assert_int_equal(state_get(STATE_ACTIVATED_ENABLED)->slot, SLOT_TAKE);
	assert_int_equal(state_get(STATE_ACTIVATED_WAITING_FOR_USER)->slot, SLOT_IF_FREE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_apart),
		cmocka_unit_test(what_changes_has_a_deadline),
		cmocka_unit_test(everything_can_be_removed),
		cmocka_unit_test(everything_can_be_reached),
		cmocka_unit_test(removal_is_final),
		cmocka_unit_test(enabled_comes_after_enabling),
		cmocka_unit_test(what_leaves_gives_up_the_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
