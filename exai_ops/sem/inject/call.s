# The source of the bytes in call.py: `as call.s`, section .text.
.intel_syntax noprefix
.set DATA, start+4096
start:
  lea rsp,[rsp-128]
  pushfq
  push rax
  push rbx
  push rcx
  push rdx
  push rsi
  push rdi
  push rbp
  push r8
  push r9
  push r10
  push r11
  push r12
  push r13
  push r14
  push r15
  mov rbp,rsp
  lea rbx,[rip+DATA]
  and rsp,-64
  mov eax,0xe7
  xor edx,edx
  xsave64 [rbx+0x400]
  cld
  cmp qword ptr [rbx+0x10],0
  je pending
  call [rbx+0x18]
  test rax,rax
  je pending
  call [rbx+0x20]
  test eax,eax
  jne pending
  call [rbx+0x28]
  mov r12d,eax
  lea rdi,[rbx+0x1000]
  call [rbx+0x30]
  mov edi,r12d
  call [rbx+0x38]
  mov dword ptr [rbx+8],1
  jmp out
pending:
  mov rdi,[rbx+0x30]
  lea rsi,[rbx+0x1000]
  call [rbx+0x40]
  neg eax
  lea eax,[rax+2]
  mov dword ptr [rbx+8],eax
out:
  mov eax,0xe7
  xor edx,edx
  xrstor64 [rbx+0x400]
  mov rsp,rbp
  pop r15
  pop r14
  pop r13
  pop r12
  pop r11
  pop r10
  pop r9
  pop r8
  pop rbp
  pop rdi
  pop rsi
  pop rdx
  pop rcx
  pop rbx
  pop rax
  popfq
  lea rsp,[rsp+128]
  mov dword ptr [rip+DATA+0x50],1
  jmp [rip+DATA]
