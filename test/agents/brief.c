/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that never gets ready: it ends well, and too early to count as up.
 */
int main(void)
{
	return 0;
}
