/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that needs no other file to run, wherever its root is, and does nothing.
 */
int main(void)
{
	return 0;
}
