/* SPDX-License-Identifier: Apache-2.0
 *
 * What an extension may see and do, step by step; each returns 0 or -errno and is named in the
 * message when it fails. Order matters: see launch.c.
 */
#ifndef OB_MANAGER_LAUNCH_CONFINE_H
#define OB_MANAGER_LAUNCH_CONFINE_H

#include "manager/launch/spec.h"

int confine_cgroups(const struct launch_spec *spec);
int confine_files(const struct launch_spec *spec);
int confine_limits(const struct launch_spec *spec);
int confine_rights(const struct launch_spec *spec);

#endif
