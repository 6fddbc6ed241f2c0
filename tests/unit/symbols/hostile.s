# hostile.s - a library whose DWARF never ends: every one of forty nested entries claims children, has no end of
# them, and names the very next entry as its sibling, so that a walk doubles with each.
	.text
	.globl	hostile
	.type	hostile, @function
hostile:
	nop
	.globl	mark_hostile
mark_hostile:
	ret
	.size	hostile, . - hostile

	.section .debug_abbrev, "", @progbits
	.uleb128 1, 0x11	# compile unit, with children
	.byte	1
	.uleb128 0x13, 0x05	# language, data2
	.uleb128 0x11, 0x01	# low_pc, addr
	.uleb128 0x12, 0x07	# high_pc, data8
	.uleb128 0, 0
	.uleb128 2, 0x39	# namespace, with children
	.byte	1
	.uleb128 0x01, 0x13	# sibling, ref4
	.uleb128 0, 0
	.uleb128 3, 0x39	# namespace, with children and a sibling before it
	.byte	1
	.uleb128 0x01, 0x13
	.uleb128 0, 0
	.byte	0

	.section .debug_info, "", @progbits
start:
	.long	end - version
version:
	.short	4
	.long	.debug_abbrev
	.byte	8
	.uleb128 1
	.short	4		# C++
	.quad	hostile
	.quad	mark_hostile + 1 - hostile
	.rept	60
	.uleb128 2
	.long	. + 4 - start
	.endr
	.uleb128 3
	.long	11
	.byte	0
end:

	.section .note.GNU-stack, "", @progbits
